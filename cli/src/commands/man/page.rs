//! One manual page a command. The sections that clap knows are clap's; examples, exit codes and what to see
//! next are added here.

use std::io;

use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, roman},
};

use crate::exit::Exit;

/// Programs for users.
const SECTION: &str = "1";

const MANUAL: &str = "Chiffon Manual";

/// A page as it is written.
pub(super) struct Page {
    /// `chiffon-request-list.1`.
    pub file: String,
    /// Roff.
    pub text: String,
}

/// The page of the program, then those of its commands in the order of the help.
pub(super) fn pages(mut program: clap::Command) -> io::Result<Vec<Page>> {
    // Gives every command its full name.
    program.build();
    let mut pages = Vec::new();
    add(&program, None, &mut pages)?;
    Ok(pages)
}

fn add(command: &clap::Command, above: Option<&str>, pages: &mut Vec<Page>) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    pages.push(Page {
        file: format!("{name}.{SECTION}"),
        text: text(command, above)?,
    });
    let below = command.get_subcommands().filter(|one| !one.is_hide_set());
    below
        .into_iter()
        .try_for_each(|one| add(one, Some(name), pages))
}

fn text(command: &clap::Command, above: Option<&str>) -> io::Result<String> {
    let man = Man::new(command.clone())
        .section(SECTION)
        // Of no day, so that the same program makes the same page. An empty word would be left out.
        .date(" ")
        .source(concat!("chiffon ", env!("CARGO_PKG_VERSION")))
        .manual(MANUAL);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    examples(command).to_writer(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    match above {
        None => {
            exit_status().to_writer(&mut page)?;
            surroundings().to_writer(&mut page)?;
        }
        Some(above) => {
            notes(command).to_writer(&mut page)?;
            see(above).to_writer(&mut page)?;
        }
    }
    // Each section comes with the same first lines, about apostrophes; once is enough.
    let first_lines = Roff::new().render();
    let sections = String::from_utf8_lossy(&page).replace(&first_lines, "");
    Ok(format!("{first_lines}{sections}"))
}

/// They stand before the usage in the help, where clap's pages have nothing.
fn examples(command: &clap::Command) -> Roff {
    let mut roff = Roff::new();
    let Some(text) = command.get_before_help() else {
        return roff;
    };
    roff.control("SH", ["EXAMPLES"]).control("EX", []);
    let text = text.to_string();
    let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
    for line in lines {
        roff.text([roman(line)]);
    }
    roff.control("EE", []);
    roff
}

fn exit_status() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL {
        item(&mut roff, &exit.code().to_string(), exit.meaning());
    }
    roff
}

fn surroundings() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["ENVIRONMENT"]);
    item(
        &mut roff,
        "CHIFFON_HOME",
        "The data folder; otherwise it is chiffon in the XDG data folder.",
    );
    item(
        &mut roff,
        "NO_COLOR, CHIFFON_NO_COLOR",
        "Set to anything: no colours.",
    );
    item(
        &mut roff,
        "CHIFFON_<SECTION>__<KEY>",
        "A key of the configuration; it wins over the file. chiffon config show --origin tells what is in force.",
    );
    roff.control("SH", ["FILES"]);
    item(
        &mut roff,
        "chiffon.yaml",
        "The configuration, in the data folder. Every key stands in it with its default.",
    );
    roff
}

/// The text after the help; that of the program says what its own sections say here.
fn notes(command: &clap::Command) -> Roff {
    let mut roff = Roff::new();
    if let Some(text) = command.get_after_help() {
        roff.control("SH", ["NOTES"]);
        for line in text.to_string().lines() {
            roff.text([roman(line)]);
        }
    }
    roff
}

fn see(above: &str) -> Roff {
    let mut roff = Roff::new();
    let place: [Inline; 2] = [bold(above), roman(format!("({SECTION})"))];
    roff.control("SH", ["SEE ALSO"]).text(place);
    roff
}

fn item(roff: &mut Roff, term: &str, text: &str) {
    roff.control("TP", [])
        .text([bold(term)])
        .text([roman(text)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_begins_like_one() {
        let pages = pages(crate::args::command()).unwrap();
        let files: Vec<&str> = pages.iter().map(|page| page.file.as_str()).collect();
        assert_eq!(files[0], "chiffon.1");
        for wanted in ["chiffon-run.1", "chiffon-request-list.1", "chiffon-man.1"] {
            assert!(files.contains(&wanted), "{wanted}: {files:?}");
        }
        for Page { file, text } in &pages {
            let control: Vec<&str> = text.lines().filter(|line| line.starts_with('.')).collect();
            let title = control
                .iter()
                .position(|line| line.starts_with(".TH chiffon"));
            let sections = [".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"];
            let places = sections.map(|one| control.iter().position(|line| *line == one));
            assert_eq!(title, Some(2), "{file}: {text}");
            assert!(control[2].ends_with("\"Chiffon Manual\""), "{file}: {text}");
            assert_eq!(text.matches(".el .ds Aq").count(), 1, "{file}: {text}");
            assert!(places.iter().all(Option::is_some), "{file}: {text}");
            assert!(title < places[0] && places.is_sorted(), "{file}: {text}");
        }
    }

    #[test]
    fn the_page_of_the_program_has_examples_and_every_exit_code() {
        let pages = pages(crate::args::command()).unwrap();
        let text = &pages[0].text;
        assert!(text.contains("\n.EX\nchiffon run"), "{text}");
        for exit in Exit::ALL {
            let term = format!("\\fB{}\\fR\n", exit.code());
            assert!(text.contains(&term), "{exit:?}: {text}");
        }
    }
}
