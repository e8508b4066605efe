//! `chiffon man`: the manual pages, made of the same words as the help. What stands on a page is left to `page`.

mod page;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{args, exit::Exit, failure::Failure, output, terminal::Terminal};
use page::{Page, pages};

#[derive(Serialize)]
struct Written {
    dir: PathBuf,
    pages: Vec<String>,
}

pub fn man(terminal: &Terminal, args: &args::Man) -> Result<Exit, Failure> {
    let pages = pages(args::command()).map_err(|error| not_made(&error))?;
    match &args.dir {
        Some(dir) => write(terminal, dir, pages)?,
        // The program's own page comes first.
        None => pages
            .iter()
            .take(1)
            .for_each(|page| terminal.data(page.text.trim_end())),
    }
    Ok(Exit::Ok)
}

fn write(terminal: &Terminal, dir: &Path, pages: Vec<Page>) -> Result<(), Failure> {
    fs::create_dir_all(dir).map_err(|error| not_written(dir, &error))?;
    for page in &pages {
        let path = dir.join(&page.file);
        fs::write(&path, &page.text).map_err(|error| not_written(&path, &error))?;
    }
    let written = Written {
        dir: dir.to_owned(),
        pages: pages.into_iter().map(|page| page.file).collect(),
    };
    output::one(terminal, &written, || {
        format!(
            "{} manual pages are in {}.",
            written.pages.len(),
            dir.display()
        )
    });
    Ok(())
}

fn not_made(error: &io::Error) -> Failure {
    Failure::internal(format!("a manual page cannot be made: {error}"))
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    Failure::plain(
        Exit::Failure,
        format!("{} cannot be written: {error}.", path.display()),
        "Name a folder by --dir that you may write to.",
    )
}
