//! The catalogue: the list, one entry, and what did not load.

use chiffon_common::{
    api::{BrokenFile, CatalogueView, EntryView, ParameterView},
    visible,
};

use super::{
    table::table,
    words::{self, file_name, one_line},
};
use crate::terminal::Paint;

/// All entries.
pub fn entries(paint: Paint, catalogue: &CatalogueView) -> String {
    let row = |entry: &EntryView| {
        vec![
            entry.id.to_string(),
            entry.tier.to_string(),
            one_line(&entry.preview, 12),
            one_line(&entry.title, 50),
            one_line(entry.examples.first().map_or("", String::as_str), 60),
        ]
    };
    let rows: Vec<_> = catalogue.entries.iter().map(row).collect();
    table(
        paint,
        &["ENTRY", "TIER", "PREVIEW", "TITLE", "FOR EXAMPLE"],
        &rows,
    )
}

/// One entry in full.
pub fn entry(paint: Paint, entry: &EntryView) -> String {
    let mut text = format!(
        "{}  {}\n  {}\n\n  risk       {}\n  preview    {}\n  undo       {}\n  at most    {}\n  from       {}",
        paint.bold(entry.id.as_str()),
        one_line(&entry.title, 200),
        one_line(&entry.description, 1_000),
        words::tier(entry.tier),
        one_line(&entry.preview, 40),
        one_line(&entry.undo, 200),
        words::duration(entry.timeout_seconds),
        one_line(&entry.origin, 200),
    );
    if !entry.accepted {
        let id = &entry.id;
        text += &format!("\n  accepted   no (chiffon catalogue accept {id})");
    }
    text += &reasons(
        "Why no more of it can be seen beforehand",
        &entry.preview_because,
    );
    text += &reasons(
        "Why the risk is higher than the metadata says",
        &entry.tier_because,
    );
    text += "\n\nParameters";
    if entry.parameters.is_empty() {
        text += "\n  none";
    }
    for parameter in &entry.parameters {
        text += &format!("\n  {}", parameter_text(paint, parameter));
    }
    if !entry.examples.is_empty() {
        text += "\n\nAsk for example";
    }
    for example in &entry.examples {
        text += &format!("\n  chiffon run \"{}\"", one_line(example, 200));
    }
    text
}

/// Places with what stands there; nothing where there are none.
fn reasons(heading: &str, reasons: &[String]) -> String {
    let lines = reasons
        .iter()
        .map(|why| format!("\n  {}", one_line(why, 400)));
    match reasons.is_empty() {
        true => String::new(),
        false => format!("\n\n{heading}{}", lines.collect::<String>()),
    }
}

/// What the scan says of the entries of a catalogue: of each what a check run is worth, where that is less
/// than everything, and why.
pub fn scanned(paint: Paint, catalogue: &CatalogueView) -> String {
    let shown = |entry: &EntryView| {
        let tier = entry
            .tier_because
            .iter()
            .map(|why| (why, "raises the risk"));
        let fidelity = entry
            .preview_because
            .iter()
            .map(|why| (why, entry.preview.as_str()));
        let lines: Vec<String> = fidelity
            .chain(tier)
            .map(|(why, word)| {
                format!(
                    "\n  {}: {}",
                    paint.warn(&one_line(word, 20)),
                    one_line(why, 400)
                )
            })
            .collect();
        (!lines.is_empty()).then(|| format!("{}{}", paint.bold(entry.id.as_str()), lines.concat()))
    };
    let entries: Vec<String> = catalogue.entries.iter().filter_map(shown).collect();
    entries.join("\n")
}

fn parameter_text(paint: Paint, parameter: &ParameterView) -> String {
    let mut facts = vec![one_line(&parameter.kind, 20)];
    if parameter.required {
        facts.push("required".to_owned());
    }
    if let Some(default) = &parameter.default {
        facts.push(format!("default {}", words::value(default)));
    }
    if !parameter.choices.is_empty() {
        let choices: Vec<String> = parameter.choices.iter().map(words::value).collect();
        facts.push(format!("one of {}", choices.join(", ")));
    }
    let name = paint.bold(&visible(&parameter.name));
    let meaning = one_line(&parameter.description, 300);
    format!("{name} ({}): {meaning}", facts.join(", "))
}

/// What did not load, each with its place.
pub fn broken(paint: Paint, broken: &[BrokenFile]) -> String {
    let shown = |file: &BrokenFile| {
        let line = file.line.map(|line| format!(":{line}")).unwrap_or_default();
        let place = format!("{}{line}", file_name(&file.file));
        format!(
            "{} {}",
            paint.bad(&format!("{place}:")),
            one_line(&file.reason, 500)
        )
    };
    let lines: Vec<String> = broken.iter().map(shown).collect();
    lines.join("\n")
}
