//! Paths that a playbook builds from `playbook_dir` and `role_path`: which files of the tree they may mean, so that what
//! is approved holds them as well. Where the text does not tell the path, everything that could be meant counts.

use std::collections::BTreeSet;

use super::{
    tree::{Tree, joined},
    yaml::Fault,
};

/// The variable that a path begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Playbook,
    Role,
}

/// One place where such a path stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    from: From,
    line: u32,
    /// How many folders it goes up before its text begins (`| dirname`).
    up: usize,
    /// What stands behind it; nothing where that is found only by the run.
    path: Option<String>,
    /// Whether it goes on with what is found only by the run.
    goes_on: bool,
}

/// What the mentions of a file lead to.
#[derive(Debug, Default)]
pub(super) struct Meant {
    /// Named by their paths, or by their folder.
    pub(super) named: BTreeSet<String>,
    /// Everything below a folder, because nobody can say which of it.
    pub(super) possible: BTreeSet<String>,
}

/// The mentions within a file.
pub(super) fn mentions(content: &[u8]) -> Vec<Mention> {
    let text = String::from_utf8_lossy(content);
    let mut found = Vec::new();
    for (line, text) in (1_u32..).zip(text.lines()) {
        for (word, from) in [("playbook_dir", From::Playbook), ("role_path", From::Role)] {
            let places = text.match_indices(word);
            let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
            let alone = places.filter(|(at, _)| {
                !text[..*at].ends_with(is_part)
                    && !text[at + word.len()..]
                        .starts_with(|c: char| c == '_' || c.is_alphanumeric())
            });
            found.extend(alone.map(|(at, _)| mention(from, line, &text[at + word.len()..])));
        }
    }
    found
}

fn mention(from: From, line: u32, after: &str) -> Mention {
    let (mut up, mut rest) = (0, after.trim_start());
    while let Some(filter) = rest.strip_prefix('|') {
        let Some(more) = filter.trim_start().strip_prefix("dirname") else {
            rest = filter;
            break;
        };
        up += 1;
        rest = more.trim_start();
    }
    let (path, goes_on) = match rest.strip_prefix("}}") {
        Some(text) => {
            let end = text.find(['"', '\'', '`', '{', ',', ')', ']', '}']);
            let end = end.unwrap_or(text.len());
            (Some(&text[..end]), text[end..].starts_with('{'))
        }
        None => literal(rest).unwrap_or((None, true)),
    };
    Mention {
        from,
        line,
        up,
        path: path.map(str::to_owned),
        goes_on,
    }
}

/// `~ '/text'` and `+ '/text'`, and whether more follows.
fn literal(text: &str) -> Option<(Option<&str>, bool)> {
    let text = text.strip_prefix(['~', '+'])?.trim_start();
    let quote = text.chars().next().filter(|c| ['"', '\''].contains(c))?;
    let (inner, after) = text[1..].split_once(quote)?;
    let ends = ["}}", ")", ",", "]"];
    let after = after.trim_start();
    Some((Some(inner), !ends.iter().any(|end| after.starts_with(end))))
}

impl Mention {
    /// The files that it may mean, where the variable is this folder.
    ///
    /// A path that leaves the tree is a fault: what lies there is in no digest.
    fn meant(&self, tree: &Tree, folder: &str, meant: &mut Meant) -> Result<(), Fault> {
        let outside = || {
            let word = match self.from {
                From::Playbook => "playbook_dir",
                From::Role => "role_path",
            };
            let reason = format!(
                "a path from {word} leads out of the folder: what lies there is not in what is approved, so keep the file \
                 beside the playbook"
            );
            Fault::at(self.line, reason)
        };
        let mut base = folder;
        for _ in 0..self.up {
            base = match base.rsplit_once('/') {
                Some((above, _)) => above,
                None if base.is_empty() => return Err(outside()),
                None => "",
            };
        }
        let Some(path) = &self.path else {
            meant.possible.extend(below(tree, base));
            return Ok(());
        };
        let path = path.trim_end();
        if !path.is_empty() && !path.starts_with('/') && !path.starts_with(char::is_whitespace) {
            // `{{ playbook_dir }}_old`: a folder beside it.
            meant.possible.extend(below(tree, base));
            return Ok(());
        }
        // Unquoted, the path ends with its word.
        let word = path.split_whitespace().next().unwrap_or_default();
        for path in BTreeSet::from([path, word]) {
            let within = path.trim_start().trim_start_matches('/');
            if self.goes_on && path.len() >= word.len() {
                let known = within.rsplit_once('/').map_or("", |(known, _)| known);
                let at = joined(base, known).ok_or_else(outside)?;
                meant.possible.extend(below(tree, &at));
                continue;
            }
            let at = joined(base, within).ok_or_else(outside)?;
            match tree.first([at.as_str()]) {
                Some(file) => drop(meant.named.insert(file.to_owned())),
                // A sentence that only speaks of the folder names no file in it.
                None if within.is_empty() => meant.possible.extend(below(tree, &at)),
                None => {
                    meant.named.extend(below(tree, &at));
                    // One that was left out is told when it is needed.
                    let inside = format!("{at}/");
                    let mut left = tree.refused.range(inside.clone()..).map(|(path, _)| path);
                    let left = left.next().filter(|path| path.starts_with(&inside));
                    meant.named.extend(left.cloned());
                }
            }
        }
        Ok(())
    }
}

/// What the mentions of a file may mean: from the folder of the playbook, that of the file itself, which may be a playbook
/// that another one imports, and that of its role.
pub(super) fn meant(
    tree: &Tree,
    mentions: &[Mention],
    playbook: &str,
    file: &str,
    role: Option<&str>,
) -> Result<Meant, Fault> {
    let parent = |path: &str| {
        path.rsplit_once('/')
            .map_or("", |(folder, _)| folder)
            .to_owned()
    };
    let mut meant = Meant::default();
    for mention in mentions {
        match (mention.from, role) {
            (From::Playbook, _) => mention.meant(tree, &parent(playbook), &mut meant)?,
            (From::Role, Some(role)) => mention.meant(tree, role, &mut meant)?,
            (From::Role, None) => {}
        }
        if mention.from == From::Playbook && role.is_none() && parent(file) != parent(playbook) {
            mention.meant(tree, &parent(file), &mut meant)?;
        }
    }
    Ok(meant)
}

/// All files below a folder; all there are for `""`.
fn below(tree: &Tree, folder: &str) -> Vec<String> {
    match folder {
        "" => tree.files.keys().cloned().collect(),
        folder => tree.below(folder).map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<(Vec<String>, Vec<String>), Fault> {
        let mut tree = Tree::of_repository();
        for path in [
            "site.yml",
            "plays/p.yml",
            "plays/a.txt",
            "plays/c/x.txt",
            "plays/c/y z.txt",
            "top/t.txt",
        ] {
            tree.add(path, false, Vec::new());
        }
        tree.add("roles/r/tasks/main.yml", false, Vec::new());
        tree.add("roles/other/files/o", false, Vec::new());
        let found = mentions(text.as_bytes());
        let role = Some("roles/r");
        let meant = meant(&tree, &found, "plays/p.yml", "roles/r/tasks/main.yml", role)?;
        Ok((
            meant.named.into_iter().collect(),
            meant.possible.into_iter().collect(),
        ))
    }

    #[test]
    fn what_a_path_means_is_found_and_what_it_may_mean_counts() {
        let below = [
            "plays/a.txt",
            "plays/c/x.txt",
            "plays/c/y z.txt",
            "plays/p.yml",
        ];
        for (text, named, possible) in [
            (
                "src: \"{{ playbook_dir }}/a.txt\"",
                &["plays/a.txt"][..],
                &[][..],
            ),
            (
                "copy: src={{playbook_dir}}/a.txt dest=/y",
                &["plays/a.txt"],
                &[],
            ),
            (
                "src: '{{ playbook_dir }}/c/y z.txt'",
                &["plays/c/y z.txt"],
                &[],
            ),
            (
                "src: '{{ playbook_dir }}/c/'",
                &["plays/c/x.txt", "plays/c/y z.txt"],
                &[],
            ),
            (
                "src: '{{ playbook_dir }}/../top/t.txt'",
                &["top/t.txt"],
                &[],
            ),
            (
                "src: '{{ playbook_dir | dirname }}/top/t.txt'",
                &["top/t.txt"],
                &[],
            ),
            (
                "{{ lookup('file', playbook_dir ~ '/a.txt') }}",
                &["plays/a.txt"],
                &[],
            ),
            (
                "{{ lookup('file', playbook_dir + \"/a.txt\") }}",
                &["plays/a.txt"],
                &[],
            ),
            (
                "src: '{{ role_path }}/../other/files/o'",
                &["roles/other/files/o"],
                &[],
            ),
            ("dest: '{{ playbook_dir }}/made.txt'", &[], &[]),
            ("src: '{{ my_playbook_dir }}/a.txt'", &[], &[]),
            ("src: '{{ playbook_dir }}/c/{{ x }}.txt'", &[], &below[1..3]),
            (
                "src: \"{{ [playbook_dir, 'a.txt'] | path_join }}\"",
                &[],
                &below,
            ),
            ("chdir: '{{ playbook_dir }}'", &[], &below),
        ] {
            let (is_named, is_possible) = of(text).unwrap();
            assert_eq!(is_named, named, "{text}");
            assert_eq!(is_possible, possible, "{text}");
        }
    }

    #[test]
    fn a_path_out_of_the_folder_is_refused_with_its_line() {
        for text in [
            "a: 1\nsrc: '{{ playbook_dir }}/../../x'",
            "a: 1\nsrc: '{{ playbook_dir | dirname | dirname }}/x'",
        ] {
            let fault = of(text).unwrap_err();
            assert_eq!(fault.line, Some(2), "{text}");
            assert!(fault.reason.contains("leads out of the folder"), "{fault}");
        }
    }
}
