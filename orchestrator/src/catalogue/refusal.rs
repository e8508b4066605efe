//! Why a text is no YAML for Ansible, in the words of whoever writes the file: those of the parser stay with it.

use super::yaml::Fault;

/// The fault with its line.
pub(super) fn fault(error: &serde_saphyr::Error) -> Fault {
    let line = error.location().map_or(0, |at| at.line());
    let line = u32::try_from(line).unwrap_or_default();
    let bare = error.without_snippet();
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = bare {
        let key = key.as_deref().unwrap_or("a key");
        let key = chiffon_common::visible(key);
        return Fault::at(
            line,
            format!("{key:?} stands here for the second time in one mapping: keep one of them"),
        );
    }
    Fault::at(line, reason(bare))
}

/// What is wrong, in the words of whoever writes the file.
fn reason(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::{Error, budget::BudgetBreach};
    let said = match error {
        Error::Budget { breach, .. } => match breach {
            BudgetBreach::Depth { .. } => {
                "lists and mappings lie more than 64 deep in each other here: make it flatter"
            }
            BudgetBreach::Documents { .. } => SECOND,
            BudgetBreach::Anchors { .. }
            | BudgetBreach::Aliases { .. }
            | BudgetBreach::AliasAnchorRatio { .. } => REPEATS,
            _ => "it holds more than the 250,000 values that are read of one file: split it",
        },
        Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::RecursiveReferencesRequireWeakTypes { .. } => REPEATS,
        Error::AliasError { error, .. } => return reason(error),
        Error::MultipleDocuments { .. } => SECOND,
        Error::UnknownAnchor { .. } => {
            "an alias (*name) stands here, and no anchor (&name) of that name before it"
        }
        Error::Eof { .. } => "the file ends here in the middle of something",
        Error::MergeValueNotMapOrSeqOfMaps { .. } => "`<<` takes a mapping, or a list of mappings",
        other => {
            return format!("this is no YAML: {}", in_own_words(&other.to_string()));
        }
    };
    said.to_owned()
}

/// What a parser says of a place, in the words of whoever writes the file: the first of these of which it speaks.
fn in_own_words(said: &str) -> &'static str {
    const SPEAKS_OF: [(&[&str], &str); 8] = [
        (
            &["tab"],
            "a tab stands here where YAML takes blanks only: indent with blanks",
        ),
        (
            &["quoted", "escape", "end of stream"],
            "something in quotes is not closed, or holds a \\ that means nothing: close it, or write it in single quotes",
        ),
        (
            &["flow", "']'", "'}'", "bracket"],
            "a [ or { does not go on as it should: close it, and put a comma between its values",
        ),
        (
            &["mapping value", "simple key", "block mapping", "':'", "key"],
            "a key lacks its colon, or a value holds one: write `key: value`, and put a value with `: ` in it in quotes",
        ),
        (
            &["indent", "block", "'-'"],
            "the line is indented otherwise than those around it: give lines of one list or mapping the same blanks",
        ),
        (
            &["anchor", "alias"],
            "a & or * names nothing that can be here: put the value in quotes",
        ),
        (
            &["tag", "directive"],
            "a ! or % begins something that means nothing here: put the value in quotes",
        ),
        (
            &["token", "character", "start"],
            "the value begins with a sign that means something in YAML (such as @ or `): put it in quotes",
        ),
    ];
    let said = said.lines().next().unwrap_or_default().to_lowercase();
    let mut known = SPEAKS_OF.iter();
    let known = known.find(|(words, _)| words.iter().any(|word| said.contains(word)));
    known.map_or(
        "look at the blanks, colons and quotes of this line and the one before it",
        |(_, own)| own,
    )
}

const SECOND: &str = "a second document (---) begins here, and Ansible reads one only: put it into a file of its own";
const REPEATS: &str =
    "its aliases (*name) repeat so much that Ansible could not hold it: write the values out";
