//! `chiffon catalogue new`: the files of an entry, to be filled in, in the user's own catalogue folder. They work as they
//! are, and change nothing.

use std::{fs, io::Write as _, path::Path};

use chiffon_common::{EntryId, visible};
use serde::Serialize;

use super::{Context, check_entry::too_near, read};
use crate::{args::NewEntry, exit::Exit, failure::Failure, output};

#[derive(Serialize)]
struct Written {
    entry: EntryId,
    files: Vec<String>,
    /// Sentences that another entry would take, or that it would take from another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    near: Vec<String>,
}

pub async fn new_entry(context: &mut Context<'_>, args: &NewEntry) -> Result<Exit, Failure> {
    let id = args.name.parse::<EntryId>().map_err(|error| {
        let todo = "Name it like dim_lamp: small letters, digits and _.";
        Failure::usage(format!("{error}."), todo)
    })?;
    let catalogue = read(context, async |client| client.catalogue().await).await?;
    if catalogue.entries.iter().any(|entry| entry.id == id) {
        let what = format!("There is an entry {id} already.");
        return Err(Failure::plain(Exit::Conflict, what, "Choose another name."));
    }
    let own = context.home.own_catalogue();
    let mut files = Vec::new();
    for (path, text) in scaffold(&id) {
        let path = own.join(path);
        write_new(&path, &text)?;
        files.push(path.display().to_string());
    }
    let near = too_near(context, &id)?;
    let written = Written {
        entry: id,
        files,
        near,
    };
    output::one(context.terminal, &written, || {
        let near = match &written.near[..] {
            [] => String::new(),
            near => format!(
                "\nIts name comes too near to what another entry does: {}.\nGive it a title and examples in other words, or \
                 remove these files and choose another name.",
                near.join("; ")
            ),
        };
        format!(
            "{}{near}\nFill them in, then: chiffon catalogue check {}",
            written.files.join("\n"),
            written.entry
        )
    });
    Ok(Exit::Ok)
}

/// What a person has written is never written over.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| {
            let mut file = fs::File::create_new(path)?;
            file.write_all(text.as_bytes())
        });
    written.map_err(|error| {
        let what = format!(
            "{} cannot be written: {error}.",
            visible(&path.display().to_string())
        );
        let todo = "Move away what is there, or choose another name.";
        Failure::plain(Exit::Conflict, what, todo)
    })
}

/// Path and text of each file.
fn scaffold(id: &EntryId) -> [(String, String); 4] {
    let words = id.as_str().replace('_', " ");
    let title = match words.split_at_checked(1) {
        Some((first, rest)) => format!("{}{rest}", first.to_ascii_uppercase()),
        None => words.clone(),
    };
    let playbook = format!(
        "---\n- name: {title}\n  hosts: all\n  gather_facts: false\n  roles:\n    - role: {id}\n"
    );
    let metadata = format!(
        "---\n# What each key means: docs/playbooks.md.\ntitle: {title}\ndescription: Says in one or two sentences what \
         it does.\nexamples:\n  - {title} named {{name}}\ntier: 1\npreview: exact\ntimeout_seconds: 600\n\
         on_interrupt: ask\nundo: none\nparameters:\n  name:\n    max_length: 64\n"
    );
    let specs = format!(
        "---\nargument_specs:\n  main:\n    short_description: {title}\n    options:\n      name:\n        \
         description: What it is about.\n        type: str\n        required: true\n"
    );
    let tasks = "---\n# Replace this by the work. Running it again must change nothing.\n- name: Say what it was asked \
                 for\n  ansible.builtin.debug:\n    msg: \"{{ name }}\"\n"
        .to_owned();
    [
        (format!("playbooks/{id}.yml"), playbook),
        (format!("playbooks/{id}.chiffon.yml"), metadata),
        (format!("roles/{id}/meta/argument_specs.yml"), specs),
        (format!("roles/{id}/tasks/main.yml"), tasks),
    ]
}
