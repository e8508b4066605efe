//! What a page holds: its code blocks, links, inline code, and the directives for this suite, each with its line.
//! Read by a parser of CommonMark, so that nothing hides from the tests by looking like something else.

use std::{ops::Range, path::Path};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// How a comment begins that is meant for this suite; no reader sees it.
const DIRECTIVE: &str = "<!-- test: ";

/// A page.
#[derive(Debug, Default)]
pub struct Page {
    /// Its path in the repository.
    pub name: String,
    /// How many lines it has.
    pub lines: usize,
    pub blocks: Vec<Block>,
    pub directives: Vec<Placed>,
    /// Inline code.
    pub codes: Vec<Placed>,
    /// Where links lead.
    pub links: Vec<Placed>,
}

/// A code block.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of its opening fence; of its first line where it has none.
    pub line: usize,
    /// The word behind the fence; absent for an indented block.
    pub tag: Option<String>,
    pub text: String,
}

/// Something with its line.
#[derive(Debug, PartialEq, Eq)]
pub struct Placed {
    pub line: usize,
    pub text: String,
}

impl Page {
    /// Reads a page.
    pub fn read(name: &Path, text: &str) -> Self {
        let mut page = Self {
            name: name.display().to_string(),
            lines: text.lines().count(),
            ..Self::default()
        };
        let line = |range: &Range<usize>| text[..range.start].matches('\n').count() + 1;
        let mut open: Option<Block> = None;
        let events = Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter();
        for (event, range) in events {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let tag = match kind {
                        CodeBlockKind::Fenced(tag) => Some(tag.to_string()),
                        CodeBlockKind::Indented => None,
                    };
                    open = Some(Block {
                        line: line(&range),
                        tag,
                        text: String::new(),
                    });
                }
                Event::Text(part) if open.is_some() => {
                    open.iter_mut().for_each(|block| block.text += &part);
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(open.take()),
                Event::Code(code) => page.codes.push(placed(line(&range), &code)),
                Event::Start(Tag::Link { dest_url, .. }) => {
                    page.links.push(placed(line(&range), &dest_url));
                }
                Event::Html(html) | Event::InlineHtml(html) => {
                    let inner = html.trim().strip_prefix(DIRECTIVE);
                    let inner = inner.and_then(|rest| rest.strip_suffix("-->"));
                    page.directives
                        .extend(inner.map(|inner| placed(line(&range), inner.trim())));
                }
                _ => {}
            }
        }
        page
    }

    /// The blocks with this tag.
    pub fn tagged<'p>(&'p self, tag: &str) -> impl Iterator<Item = &'p Block> {
        let tag = Some(tag.to_owned());
        self.blocks.iter().filter(move |block| block.tag == tag)
    }

    /// Where something stands, as an editor opens it.
    pub fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.name)
    }
}

fn placed(line: usize, text: &str) -> Placed {
    let text = text.to_owned();
    Placed { line, text }
}

#[test]
fn blocks_are_found_wherever_they_stand() {
    let text = "# A\n\n```sh\none\n```\n\n- in a list:\n\n  ```sh\n  two\n\n  three\n  ```\n\ntext\n\n    four\n\n~~~json\n{}\n~~~\n";
    let page = Page::read(Path::new("a.md"), text);
    let found: Vec<_> = page
        .blocks
        .iter()
        .map(|block| (block.line, block.tag.as_deref(), block.text.as_str()))
        .collect();
    let expected = [
        (3, Some("sh"), "one\n"),
        (9, Some("sh"), "two\n\nthree\n"),
        (17, None, "four\n"),
        (19, Some("json"), "{}\n"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn directives_links_and_inline_code_have_their_lines() {
    let text = "<!-- test: hosts nas -->\n\nSee [it](x.md) and `chiffon up`.\n\n<!-- other -->\n";
    let page = Page::read(Path::new("a.md"), text);
    assert_eq!(page.directives, [placed(1, "hosts nas")]);
    assert_eq!(page.links, [placed(3, "x.md")]);
    assert_eq!(page.codes, [placed(3, "chiffon up")]);
}
