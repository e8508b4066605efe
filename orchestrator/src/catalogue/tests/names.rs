//! What is said to a name that is no entry.

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
