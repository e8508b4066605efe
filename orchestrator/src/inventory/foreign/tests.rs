//! Taking hosts over, and what must not come with them.

use serde_json::json;

use super::*;
use crate::inventory::Here;

fn here() -> Here {
    Here {
        hostname: "me".to_owned(),
        home: "/home/a".into(),
    }
}

fn inventory(folder: &Path, hosts: &str) -> Inventory {
    fs::write(folder.join("hosts.yml"), hosts).unwrap();
    Inventory::load(folder, &here()).unwrap()
}

fn listed() -> ForeignInventory {
    ForeignInventory::read(&json!({
        "_meta": {"hostvars": {
            "web1": {"ansible_host": "192.0.2.1", "port": 80, "pin": {"__ansible_vault": "x"}, "ansible_remote_tmp": "/x"},
            "nas": {"ansible_user": "root", "raw": {"__ansible_unsafe": "{{ x }}"}},
            "bad host": {},
        }},
        "all": {"children": ["ungrouped", "web", "big"], "vars": {"domain": "example.org"}},
        "big": {"children": ["web"], "vars": {"size": "big"}},
        "web": {"hosts": ["web1", "web2", "nas"], "vars": {"size": "web"}},
        "ungrouped": {"hosts": ["alone"]},
    }))
}

#[test]
fn what_is_taken_over_reaches_its_own_hosts_only() {
    let folder = tempfile::tempdir().unwrap();
    let there = inventory(folder.path(), "all:\n  hosts: {nas: {}, localhost: {}}\n");
    let found = listed();
    let hosts = found.hosts(&there).unwrap();
    let named: Vec<(&str, bool)> = hosts
        .iter()
        .map(|one| (one.name.as_str(), one.is_there))
        .collect();
    assert_eq!(
        named,
        [
            ("alone", false),
            ("nas", true),
            ("web1", false),
            ("web2", false)
        ]
    );
    assert_eq!(found.left().len(), 3, "{:?}", found.left());
    let text = found.text("lab", &there).unwrap();
    take(folder.path(), "lab", &text).unwrap();
    let now = Inventory::load(folder.path(), &here()).unwrap();
    let var = |host: &str, name: &str| {
        let host = now.host(&host.parse().unwrap()).unwrap();
        host.vars.get(name).map(Node::to_json)
    };
    assert_eq!(
        var("web1", "size"),
        Some("web".into()),
        "a child's before its parent's"
    );
    assert_eq!(var("web2", "domain"), Some("example.org".into()));
    assert_eq!(var("web1", "port"), Some(80.into()));
    assert_eq!(
        (var("nas", "domain"), var("nas", "ansible_user")),
        (None, None),
        "mine stays as it is"
    );
    assert_eq!(var("localhost", "domain"), None);
    let group = now.groups().find(|(name, _)| *name == "web").unwrap().1;
    assert_eq!(group.len(), 2, "nas is mine, and in no group of theirs");

    // Again: what was taken of it before does not stand in its way.
    give_back(folder.path(), "lab").unwrap();
    assert!(!give_back(folder.path(), "lab").unwrap());
}

#[test]
fn a_group_that_both_know_brings_its_variables_to_its_own_hosts_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let mine = "all:\n  hosts: {mine: {}}\n  children: {web: {hosts: {mine: {}}}}\n";
    let there = inventory(folder.path(), mine);
    take(folder.path(), "lab", &listed().text("lab", &there).unwrap()).unwrap();
    let now = Inventory::load(folder.path(), &here()).unwrap();
    let size = |host: &str| {
        let host = now.host(&host.parse().unwrap()).unwrap();
        host.vars.get("size").map(Node::to_json)
    };
    assert_eq!((size("mine"), size("web2")), (None, Some("web".into())));
    let group = now.groups().find(|(name, _)| *name == "web").unwrap().1;
    assert_eq!(group.len(), 4);
}

#[test]
fn a_host_that_is_written_later_beside_one_that_was_taken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let there = inventory(folder.path(), "all:\n  hosts: {mine: {}}\n");
    take(folder.path(), "lab", &listed().text("lab", &there).unwrap()).unwrap();
    fs::write(
        folder.path().join("hosts.yml"),
        "all:\n  hosts: {web1: {}}\n",
    )
    .unwrap();
    let problem = Inventory::load(folder.path(), &here()).unwrap_err();
    assert!(
        problem.detail.contains("web1") && problem.detail.contains("taken/lab.yml"),
        "{problem:?}"
    );
    let none = ForeignInventory::read(&json!({"_meta": {"hostvars": {}}}));
    assert_eq!(
        none.text("x", &Inventory::default()).unwrap_err().code,
        ErrorCode::HostsThere
    );
}

#[test]
fn ten_thousand_hosts_are_taken_and_read() {
    let hostvars: Map<String, Json> = (0..10_000)
        .map(|n| {
            (
                format!("h{n}"),
                json!({"ansible_host": format!("192.0.2.{}", n % 250), "n": n}),
            )
        })
        .collect();
    let names: Vec<&String> = hostvars.keys().collect();
    let found =
        ForeignInventory::read(&json!({"_meta": {"hostvars": hostvars}, "web": {"hosts": names}}));
    let folder = tempfile::tempdir().unwrap();
    let there = inventory(folder.path(), "all: {hosts: {mine: {}}}\n");
    take(folder.path(), "lab", &found.text("lab", &there).unwrap()).unwrap();
    assert_eq!(
        Inventory::load(folder.path(), &here())
            .unwrap()
            .hosts()
            .count(),
        10_001
    );
}

#[test]
fn a_host_with_the_name_of_a_group_is_left_out_and_named() {
    let found = ForeignInventory::read(&json!({
        "_meta": {"hostvars": {"web": {}, "all": {}, "nas": {}}},
        "web": {"hosts": ["web", "nas"]},
        "lab": {"hosts": ["nas"]},
    }));
    let folder = tempfile::tempdir().unwrap();
    let there = inventory(folder.path(), "all:\n  hosts: {pi: {}}\n");
    let hosts = found.hosts(&there).unwrap();
    let named: Vec<&str> = hosts.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(named, ["nas"]);
    let left = format!("{:?}", found.left());
    assert!(left.contains("host web: a group has that name"), "{left}");
    assert!(left.contains("a group which every inventory has"), "{left}");
    assert!(found.text("lab", &there).is_ok());
    let twin = inventory(folder.path(), "all:\n  hosts: {lab: {}}\n");
    let problem = found.text("repo", &twin).unwrap_err();
    assert_eq!(problem.code, ErrorCode::HostsThere);
}
