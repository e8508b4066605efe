//! What is said to a name that is no entry, and what each shipped entry owes to whoever uses it.

use super::*;

#[test]
fn a_word_of_a_name_leads_to_the_entry_that_bears_it() {
    let catalogue = shipped();
    for (asked, near) in [
        ("restart", "did you mean service_restart?"),
        ("kuma", "did you mean deploy_kuma?"),
        ("write_fil", "did you mean write_file?"),
    ] {
        let problem = catalogue.find(asked).unwrap_err();
        assert!(problem.todo.contains(near), "{asked}: {}", problem.todo);
    }
}

/// Every change is looked at afterwards or says in the documentation why not, and has a way back or says why not.
#[test]
fn every_shipped_change_is_looked_at_and_taken_back_or_says_why_not() {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/catalogue.md"));
    let page = page.unwrap();
    let part = page
        .split("## What the shipped entries look at afterwards")
        .nth(1)
        .unwrap();
    let part = part.split("\n## ").next().unwrap();
    let excused: Vec<&str> = part
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|names| names.split('`').skip(1).step_by(2))
        .collect();
    let catalogue = shipped();
    for entry in catalogue.entries() {
        let id = entry.id.as_str();
        if let UndoRule::None(why) = &entry.undo {
            assert!(why.split_whitespace().count() > 3, "{id}: {why:?}");
        }
        if entry.listed && entry.tier > Tier::Zero {
            assert_eq!(entry.verify.is_empty(), excused.contains(&id), "{id}");
        }
    }
    let unknown = excused.iter().find(|id| catalogue.get(id).is_none());
    assert_eq!(unknown, None);
}
