//! What a host may be called, and what it answers to.

use super::*;

#[test]
fn hosts_answer_to_their_nicknames() {
    let inventory = load(
        "all:\n  hosts:\n    localhost:\n    nas.lan: {chiffon_aliases: [storage, \"The Box\"]}\n  children:\n    media_players:\n      hosts: {nas.lan: {}}\n",
        "",
    )
    .unwrap();
    let meant = |phrase: &str| inventory.meant(phrase).map(|hosts| hosts[0].to_string());
    for phrase in [
        "nas.lan",
        "nas",
        "storage",
        "the box",
        "media players",
        "media_players",
    ] {
        assert_eq!(meant(phrase).as_deref(), Some("nas.lan"), "{phrase}");
    }
    for phrase in [
        "this machine",
        "here",
        "diesem rechner",
        "tower.fritz.box",
        "localhost",
    ] {
        assert_eq!(meant(phrase).as_deref(), Some("localhost"), "{phrase}");
    }
    assert_eq!(meant("tower"), None);
}

#[test]
fn a_nickname_that_means_another_host_as_well_is_refused() {
    for (nickname, words) in [
        ("tower", "is the name of another host, tower"),
        ("TOWER", "is the name of another host, tower"),
        ("The box", "is given to nas, too"),
    ] {
        let text = format!(
            "all:\n  hosts:\n    nas: {{chiffon_aliases: [storage, the Box]}}\n    tower:\n    zoo:\n      chiffon_aliases:\n        - zoo\n        - {nickname}\n"
        );
        let problem = load(&text, "").unwrap_err();
        assert_eq!(problem.code, chiffon_common::ErrorCode::InventoryBroken);
        for said in [words, "line 8", "zoo", &format!("{nickname:?}")] {
            assert!(problem.detail.contains(said), "{said}: {problem:?}");
        }
    }
    // Its own name once more, in whatever form, means nobody else.
    load(
        "all:\n  hosts:\n    nas: {chiffon_aliases: [nas, NAS]}\n",
        "",
    )
    .unwrap();
}

#[test]
fn a_host_that_stands_twice_is_told_with_its_line() {
    let problem = load(
        "all:\n  hosts:\n    nas: {a: 1}\n    tower:\n    nas: {a: 2}\n",
        "",
    );
    let problem = problem.unwrap_err();
    for said in [
        "hosts.yml, line 5",
        "\"nas\" stands here for the second time",
    ] {
        assert!(problem.detail.contains(said), "{said}: {problem:?}");
    }
}

#[test]
fn a_name_that_means_a_group_is_no_host() {
    for (hosts, line, why) in [
        (
            "all:\n  hosts:\n    all: {}\n",
            3,
            "no host can be called \"all\"",
        ),
        (
            "all:\n  hosts:\n    Ungrouped: {}\n",
            3,
            "a group which every inventory has",
        ),
        (
            "all:\n  hosts:\n    nas: {}\n  children:\n    nas:\n      hosts: {pi: {}}\n",
            3,
            "nas is the name of a host and of a group",
        ),
        (
            "all:\n  children:\n    web:\n      hosts: {web: {}}\n",
            4,
            "web is the name of a host and of a group",
        ),
        (
            "all:\n  hosts:\n    nas:\n      chiffon_aliases: [the box, all]\n",
            4,
            "no host can be called \"all\"",
        ),
    ] {
        let problem = load(hosts, "").unwrap_err();
        assert!(
            problem.detail.contains(&format!("line {line}: ")),
            "{problem:?}"
        );
        assert!(problem.detail.contains(why), "{problem:?}");
    }
}
