//! Whole inventories: who gets which variables, what is refused, and what travels.

mod names;

use std::{fs, path::Path};

use chiffon_common::Fidelity;

use super::*;

pub(crate) fn here() -> Here {
    Here {
        hostname: "Tower.fritz.box".to_owned(),
        home: PathBuf::from("/home/ada"),
    }
}

const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJ5mB0S9uGQz7V0o1m7mJrS0p0o0S0m0Z0k0b0m0Z0k0";

fn load(hosts: &str, known_hosts: &str) -> Result<Inventory, chiffon_common::Problem> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hosts.yml"), hosts).unwrap();
    fs::write(folder.path().join("known_hosts"), known_hosts).unwrap();
    Inventory::load(folder.path(), &here())
}

fn names(names: &[&str]) -> Vec<HostName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn file(inventory: &Inventory, hosts: &[&str], path: &str) -> String {
    let bundle = inventory.resolve(&names(hosts)).unwrap();
    String::from_utf8(bundle.file(path).unwrap().content.clone()).unwrap()
}

const TREE: &str = "
all:
  vars: {a: all, b: all, c: all, d: all, e: all}
  hosts:
    nas: {e: host}
  children:
    zoo:
      vars: {b: zoo, c: zoo, d: zoo, e: zoo}
      children:
        cats:
          vars: {d: cats}
          hosts: {nas: {}}
    apes:
      vars: {b: apes, c: apes}
      hosts: {nas: {}}
    first:
      vars: {c: first, ansible_group_priority: 10}
      hosts: {nas: {}}
";

#[test]
fn variables_merge_as_ansible_merges_them() {
    let text = file(&load(TREE, "").unwrap(), &["nas"], "inventory/hosts.yml");
    let expected = "---
all:
  hosts:
    \"nas\":
      \"a\": \"all\"
      \"b\": \"zoo\"
      \"c\": \"first\"
      \"d\": \"cats\"
      \"e\": \"host\"
  children:
    \"apes\":
      hosts:
        \"nas\": {}
    \"cats\":
      hosts:
        \"nas\": {}
    \"first\":
      hosts:
        \"nas\": {}
    \"zoo\":
      hosts:
        \"nas\": {}
";
    assert_eq!(text, expected);
}

#[test]
fn templates_and_tags_stay_and_every_text_survives() {
    let inventory = load(
        "all:\n  hosts:\n    nas:\n      t: '{{ lookup(\"env\", \"X\") }}'\n      v: !vault |\n        $ANSIBLE_VAULT;1.1\n        61\n      u: !unsafe '{{ no }}'\n      odd: \"a\\x7f\\u2028\\\"\\\\\"\n      big: 1.0e+20\n      l: [1, {k: null}]\n      ansible_ssh_private_key_file: ~/.ssh/id\n",
        "",
    )
    .unwrap();
    let text = file(&inventory, &["nas"], "inventory/hosts.yml");
    assert!(
        text.contains(r#""t": "{{ lookup(\"env\", \"X\") }}""#),
        "{text}"
    );
    assert!(
        text.contains(r#""v": !vault "$ANSIBLE_VAULT;1.1\n61\n""#),
        "{text}"
    );
    assert!(text.contains(r#""u": !unsafe "{{ no }}""#), "{text}");
    assert!(text.contains(r#""odd": "a\u007f\u2028\"\\""#), "{text}");
    assert!(text.contains(r#""l": [1, {"k": null}]"#), "{text}");
    assert!(
        text.contains(r#""ansible_ssh_private_key_file": "/home/ada/.ssh/id""#),
        "{text}"
    );
    let again = crate::catalogue::yaml::parse(&text).unwrap();
    let vars = again
        .get("all")
        .unwrap()
        .get("hosts")
        .unwrap()
        .get("nas")
        .unwrap();
    assert_eq!(vars.get("odd").unwrap().text(), Some("a\u{7f}\u{2028}\"\\"));
    assert_eq!(vars.get("big").unwrap().to_json(), serde_json::json!(1e20));
}

#[test]
fn localhost_is_local_and_takes_the_python_of_ansible() {
    let inventory = load(
        "all:\n  hosts:\n    localhost:\n    nas:\n      ansible_host: 10.0.0.2\n",
        "",
    )
    .unwrap();
    let text = file(&inventory, &["localhost"], "inventory/hosts.yml");
    assert!(text.contains(r#""ansible_connection": "local""#), "{text}");
    assert!(
        text.contains(r#""ansible_python_interpreter": "{{ ansible_playbook_python }}""#),
        "{text}"
    );
    assert!(!text.contains("nas"), "no other host: {text}");
    let unpinned = inventory.unpinned(&names(&["localhost", "nas"])).unwrap();
    assert_eq!(unpinned.len(), 1);
    assert_eq!(
        (unpinned[0].address.as_str(), unpinned[0].port),
        ("10.0.0.2", 22)
    );
}

#[test]
fn only_the_keys_of_the_chosen_hosts_travel() {
    let known = format!(
        "# comment\nnas,10.0.0.2 ssh-ed25519 {KEY} root@nas\n[tower.lan]:2222 ssh-ed25519 {KEY}\n@revoked nas ssh-rsa {KEY}\n"
    );
    let hosts =
        "all:\n  hosts:\n    nas:\n    tower: {ansible_host: Tower.lan, ansible_port: 2222}\n";
    let inventory = load(hosts, &known).unwrap();
    assert_eq!(
        file(&inventory, &["nas"], "inventory/known_hosts"),
        format!("@revoked nas ssh-rsa {KEY}\nnas ssh-ed25519 {KEY}\n")
    );
    assert_eq!(
        file(&inventory, &["tower"], "inventory/known_hosts"),
        format!("[tower.lan]:2222 ssh-ed25519 {KEY}\n")
    );
    assert!(
        inventory
            .unpinned(&names(&["nas", "tower"]))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn the_bytes_do_not_depend_on_the_order_of_naming() {
    let inventory = load("all:\n  hosts: {nas: {x: 1}, tower: {}}\n", "").unwrap();
    let one = inventory
        .resolve(&names(&["tower", "nas", "tower"]))
        .unwrap();
    assert_eq!(
        one.digest(),
        inventory
            .resolve(&names(&["nas", "tower"]))
            .unwrap()
            .digest()
    );
    let problem = inventory.resolve(&names(&["naz"])).unwrap_err();
    assert_eq!(problem.code.number(), 5102);
    assert!(
        problem.detail.contains("known are nas, tower"),
        "{}",
        problem.detail
    );
}

#[test]
fn what_is_not_covered_is_refused_with_its_line() {
    let refused = |hosts: &str| {
        let problem = load(hosts, "").unwrap_err();
        assert_eq!(problem.code.number(), 5109);
        problem.detail
    };
    for (hosts, line, says) in [
        (
            "all:\n  hosts:\n    web[01:10]:\n",
            "line 3",
            "patterns come later",
        ),
        ("all:\n  hosts:\n    Bad_Name:\n", "line 3", "host name"),
        ("all:\n  hosts:\n    \"{{ x }}\":\n", "line 3", "host name"),
        (
            "all:\n  host:\n    nas:\n",
            "line 2",
            "hosts, vars and children",
        ),
        ("all:\n  hosts: [nas]\n", "line 2", "mapping"),
        ("all:\n  hosts:\n    nas: {x-y: 1}\n", "line 3", "variable"),
        ("plugin: aws\n", "line 1", "plugins come later"),
        ("[web]\nnas\n", "", "INI form"),
        (
            "all:\n  hosts:\n    nas:\n    nas:\n",
            "line 4",
            "for the second time",
        ),
        (
            "all:\n  children:\n    a:\n      children:\n        b:\n          children:\n            a:\n",
            "",
            "holds itself",
        ),
    ] {
        let detail = refused(hosts);
        assert!(
            detail.contains(line) && detail.contains(says),
            "{hosts}: {detail}"
        );
    }
    let hashed = load(
        "all:\n",
        &format!("x ssh-rsa {KEY}\n|1|abc=|def= ssh-rsa {KEY}\n"),
    )
    .unwrap_err();
    assert!(
        hashed.detail.contains("known_hosts, line 2"),
        "{}",
        hashed.detail
    );
}

#[test]
fn a_host_without_a_known_address_spoils_no_other() {
    let inventory = load(
        "all:\n  hosts:\n    localhost:\n    nas:\n    tower: {ansible_host: '{{ lookup(\"env\", \"X\") }}'}\n    \
         evil: {ansible_host: -oProxyCommand=id}\n    odd: {ansible_port: '{{ port }}'}\n",
        &format!("nas ssh-ed25519 {KEY}\n"),
    )
    .unwrap();
    for (host, says) in [
        ("evil", Some("option")),
        ("localhost", None),
        ("nas", None),
        ("odd", Some("ansible_port of odd is no plain value")),
        ("tower", Some("ansible_host of tower is no plain value")),
    ] {
        let one = names(&[host]);
        let shown = inventory.unpinned_one(inventory.host(&one[0]).unwrap());
        let detail = shown.err().map(|problem| problem.detail);
        let is_said = match (&detail, says) {
            (Some(detail), Some(says)) => detail.contains(says),
            (None, None) => true,
            _ => false,
        };
        assert!(is_said, "{host}: {detail:?}");
        // Using it is refused all the same.
        assert_eq!(inventory.unpinned(&one).is_err(), says.is_some(), "{host}");
        assert_eq!(inventory.resolve(&one).is_err(), says.is_some(), "{host}");
    }
}

#[test]
fn pinning_replaces_the_keys_of_one_address_only() {
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("known_hosts");
    fs::write(
        &known,
        format!("# mine\nnas,old ssh-rsa {KEY}\nother ssh-rsa {KEY}\n"),
    )
    .unwrap();
    let key = HostKey {
        kind: "ssh-ed25519".to_owned(),
        key: KEY.to_owned(),
    };
    pin(folder.path(), "nas", 22, &[key.clone(), key.clone()]).unwrap();
    pin(folder.path(), "127.0.0.1", 2222, std::slice::from_ref(&key)).unwrap();
    assert_eq!(
        fs::read_to_string(&known).unwrap(),
        format!(
            "# mine\nold ssh-rsa {KEY}\nother ssh-rsa {KEY}\nnas ssh-ed25519 {KEY}\n[127.0.0.1]:2222 ssh-ed25519 {KEY}\n"
        )
    );
    let evil = HostKey {
        kind: "ssh-rsa".to_owned(),
        key: "x\nevil ssh-rsa AAAAAAAAAAAAAAA".to_owned(),
    };
    assert!(pin(folder.path(), "nas", 22, &[evil]).is_err());
    assert!(pin(folder.path(), "a b", 22, &[key]).is_err());
}

#[test]
fn the_first_inventory_loads_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let dir: &Path = &folder.path().join("inventory");
    assert!(write_default(dir, "tower").unwrap());
    assert_eq!(Inventory::load(dir, &here()).unwrap().hosts().count(), 1);
    fs::write(dir.join("hosts.yml"), "all:\n").unwrap();
    assert!(!write_default(dir, "tower").unwrap());
    assert_eq!(Inventory::load(dir, &here()).unwrap().hosts().count(), 0);
    fs::create_dir(dir.join("host_vars")).unwrap();
    assert!(Inventory::load(dir, &here()).is_err());
}

#[test]
fn two_names_of_one_machine_are_one_machine() {
    let hosts = "
all:
  hosts:
    nas: {ansible_host: 192.168.1.5}
    nas-b: {ansible_host: 192.168.1.5, ansible_port: 22}
    mapped: {ansible_host: \"::ffff:192.168.1.5\"}
    behind: {ansible_host: 192.168.1.5, ansible_port: 2222}
    pi: {ansible_host: pi.lan.}
    dot: {ansible_host: PI.lan}
    localhost:
    here: {ansible_connection: local}
    v4: {ansible_host: 127.0.0.1}
    other4: {ansible_host: 127.0.0.2}
    v6: {ansible_host: \"::1\"}
    name: {ansible_host: LOCALHOST}
    own: {ansible_host: tower.fritz.box}
    v4b: {ansible_host: 127.0.0.1, ansible_port: 2222}
    v6b: {ansible_host: \"::1\", ansible_port: 2222}
    ownb: {ansible_host: Tower.fritz.box., ansible_port: 2222}
    short: {ansible_host: \"127.1\"}
    decimal: {ansible_host: 2130706433}
    box: {ansible_connection: community.docker.docker}
    same: {ansible_connection: community.docker.docker, ansible_host: box}
    open: {ansible_host: \"{{ somewhere }}\"}
";
    let inventory = load(hosts, "").unwrap();
    let machine = |name: &str| {
        let host = inventory.hosts().find(|host| host.name.as_str() == name);
        inventory.machine(host.unwrap_or_else(|| panic!("no {name}")))
    };
    for (one, other) in [
        ("nas", "nas-b"),
        ("nas", "mapped"),
        ("pi", "dot"),
        ("localhost", "here"),
        ("localhost", "v4"),
        ("v4", "other4"),
        ("v4", "v6"),
        ("v4", "name"),
        ("v4", "own"),
        ("v4b", "v6b"),
        ("v4b", "ownb"),
        ("box", "same"),
    ] {
        assert!(machine(one).is_some());
        assert_eq!(machine(one), machine(other), "{one} {other}");
    }
    assert_ne!(machine("nas"), machine("behind"));
    assert_ne!(machine("nas"), machine("here"));
    assert_ne!(
        machine("v4"),
        machine("v4b"),
        "a container may answer there"
    );
    for unknown in ["open", "short", "decimal"] {
        assert_eq!(machine(unknown), None, "{unknown}");
    }
}

#[test]
fn names_of_two_machines_with_one_pinned_key_are_told() {
    let hosts = "
all:
  hosts:
    nas: {ansible_host: 192.168.1.5}
    again: {ansible_host: 192.168.1.5}
    dns: {ansible_host: nas.lan}
    other: {ansible_host: other.lan}
    gone: {ansible_host: gone.lan}
";
    let key = |of: &str| format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{of}");
    let keys = format!(
        "192.168.1.5 {0}\nnas.lan {0}\nother.lan {1}\n@revoked gone.lan {0}\n",
        key("same"),
        key("else")
    );
    let inventory = load(hosts, &keys).unwrap();
    let shares = |name: &str| {
        let host = inventory.hosts().find(|host| host.name.as_str() == name);
        let shares = inventory.sharing_key(host.unwrap());
        shares.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(shares("nas"), ["dns"]);
    assert_eq!(shares("dns"), ["again", "nas"]);
    for alone in ["other", "gone"] {
        assert_eq!(shares(alone), Vec::<String>::new(), "{alone}");
    }
}

#[test]
fn templates_in_variables_weigh_on_every_step_of_their_hosts() {
    let text = "all:
  vars: {a: \"{{ lookup('env', 'HOME') }}\", b: !unsafe \"{{ lookup('pipe', 'id') }}\"}
  hosts: {free: {}}
  children:
    ours:
      vars:
        ansible_shell_executable: \"{{ lookup('pipe', 'id') }}\"
      hosts:
        nas: {c: [{d: \"{{ 9 | random }}\"}]}
        web: {}
    foreign:
      hosts: {box: {e: \"{{ q('a.b.c') }}\"}}
";
    let inventory = load(text, "").unwrap();
    let acts = "inventory/hosts.yml:7: `ansible_shell_executable`: the lookup `pipe` acts where Ansible runs, in a check run too";
    let random =
        "inventory/hosts.yml:9: `c`: the filter `random` gives something else in every run";
    let foreign =
        "inventory/hosts.yml:12: `e`: nobody can say what the lookup `a.b.c` does in a check run";
    let both = format!("{acts}; {random}");
    for (hosts, fidelity, because) in [
        (&["free"][..], Fidelity::Exact, None),
        (&["free", "box"], Fidelity::Blind, Some(foreign)),
        (&["web"], Fidelity::Acts, Some(acts)),
        (&["nas", "web"], Fidelity::Acts, Some(both.as_str())),
    ] {
        let weight = inventory.weigh(&names(hosts));
        assert_eq!(
            (weight.fidelity, weight.because.as_deref()),
            (fidelity, because),
            "{hosts:?}"
        );
    }
}

#[test]
fn the_remote_folder_of_a_run_is_not_replaced() {
    for text in [
        "all:\n  hosts:\n    nas: {ansible_remote_tmp: /tmp/x}\n",
        "all:\n  vars:\n    ansible_remote_tmp: /tmp/x\n",
    ] {
        let problem = load(text, "").unwrap_err();
        assert_eq!(problem.code, chiffon_common::ErrorCode::InventoryBroken);
        let expected = "line 3: ansible_remote_tmp is not yours to set";
        assert!(problem.detail.contains(expected), "{}", problem.detail);
    }
}

/// A file that a person names has nothing to do with the data folder.
#[test]
fn a_file_by_itself_is_not_sent_to_the_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("hosts.yml");
    fs::write(&broken, "all: [\n").unwrap();
    for path in [folder.path().join("none"), folder.path().to_owned(), broken] {
        let problem = Inventory::load_file(&path, &here()).unwrap_err();
        assert!(
            !problem.todo.contains("chiffon"),
            "{}: {}",
            path.display(),
            problem.todo
        );
    }
}
