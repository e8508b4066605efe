//! What of a repository could be passed over in silence: files that lead to no entry, and files that an entry reads.

use super::*;
use crate::catalogue::{Root, Trust, extract_shipped};

#[test]
fn no_playbook_and_no_metadata_vanishes_unnamed() {
    let case = Case::of(&[
        ("plain.yml", PLAY),
        ("marked.yml", &format!("\u{feff}{PLAY}")),
        ("\u{f6}k.yml", PLAY),
        ("alone.chiffon.yml", "tier: 1\n"),
        ("plain.chiffon.yaml", "tier: 1\n"),
        ("words.yml", "a: 1\n"),
        ("words.chiffon.yml", "tier: 1\n"),
    ]);
    let wide: Vec<u8> = format!("\u{feff}{PLAY}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    case.write("wide.yml", &wide);
    let catalogue = case.stage().unwrap().catalogue(&[]);
    assert_eq!(ids(&catalogue), ["repo_marked", "repo_plain"]);
    let told = reasons(&catalogue);
    for wanted in [
        "wide.yml:Some(1): the file is not UTF-8 text",
        "\u{f6}k.yml:None: its name holds \"\u{f6}\"",
        "alone.chiffon.yml:None: there is no playbook alone.yml",
        "plain.chiffon.yaml:None: metadata of this name is not read: call it plain.chiffon.yml",
        "words.chiffon.yml:None: words.yml is no playbook that is read",
    ] {
        assert!(told.contains(wanted), "{wanted}\n{told}");
    }
    assert_eq!(catalogue.broken().len(), 5, "{told}");
}

#[test]
fn what_a_playbook_reads_from_its_own_folder_is_in_what_is_approved() {
    let play = |task: &str| format!("- hosts: all\n  tasks:\n    - {task}\n");
    let template =
        "ansible.builtin.template: {src: '{{ playbook_dir }}/conf/a.conf', dest: /tmp/a}";
    let by_host =
        "ansible.builtin.copy: {src: 'hosts/{{ inventory_hostname }}.conf', dest: /tmp/a}";
    let case = Case::of(&[
        ("named.yml", &play(template)),
        ("by_host.yml", &play(by_host)),
        ("other.yml", PLAY),
        (
            "out.yml",
            &play("ansible.builtin.copy: {src: '{{ playbook_dir }}/../x', dest: /tmp/a}"),
        ),
        (
            "large.yml",
            &play("ansible.builtin.copy: {src: '{{ playbook_dir }}/big.bin', dest: /tmp/a}"),
        ),
        ("conf/a.conf", "{{ lookup('pipe', 'id') }}\n"),
        ("hosts/nas.conf", "x\n"),
    ]);
    case.write("big.bin", &vec![0; 2 << 20]);
    let staged = case.stage().unwrap();
    let catalogue = staged.catalogue(&[]);
    assert_eq!(
        ids(&catalogue),
        ["repo_by_host", "repo_named", "repo_other"]
    );
    let told = reasons(&catalogue);
    for wanted in [
        "out.yml:Some(3): a path from playbook_dir leads out of the folder",
        "big.bin:None: the file is larger than 1 MiB",
    ] {
        assert!(told.contains(wanted), "{wanted}\n{told}");
    }
    let holds = |id: &str, path: &str| {
        let files = catalogue.get(id).unwrap().bundle_files().unwrap();
        files.file(path).is_some()
    };
    assert!(holds("repo_named", "conf/a.conf"));
    assert!(holds("repo_by_host", "hosts/nas.conf"));
    assert!(!holds("repo_other", "conf/a.conf"));
    // Whatever lies there may be a template, and is read as one.
    staged.add().unwrap();
    let as_accepted = Catalogue::load_as_accepted(&pinned(&case.added()));
    let named = as_accepted.get("repo_named").unwrap();
    assert_eq!(
        (named.tier, named.preview),
        (Tier::Two, Fidelity::Acts),
        "{named:?}"
    );
    let before = named.digest;
    case.write("conf/a.conf", b"y\n");
    let now = case.stage().unwrap();
    assert_ne!(now.catalogue(&[]).get("repo_named").unwrap().digest, before);
}

/// A check of the shipped catalogue is no stranger to an entry that names it, and an update of that entry is shown.
#[test]
fn what_an_entry_names_beside_the_repository_is_known_and_not_listed() {
    let case = Case::of(&[
        ("plain.yml", PLAY),
        (
            "plain.chiffon.yml",
            "tier: 1\nverify:\n  port:\n    port: 22\n",
        ),
    ]);
    let shipped = case.folder.path().join("shipped");
    extract_shipped(&shipped).unwrap();
    let others = [Root {
        name: "shipped".to_owned(),
        path: shipped,
        trust: Trust::Shipped,
    }];
    let staged = case.stage().unwrap();
    let catalogue = staged.catalogue(&others);
    assert_eq!(ids(&catalogue), ["repo_plain"], "{}", reasons(&catalogue));
    assert!(catalogue.broken().is_empty(), "{}", reasons(&catalogue));
    assert!(reasons(&staged.catalogue(&[])).contains("check_port"));
    staged.add().unwrap();
    case.write("plain.yml", format!("{PLAY}# more\n").as_bytes());
    let changes = case.stage().unwrap().difference(&others).changes;
    let changed: Vec<_> = changes.iter().map(|one| one.entry.as_str()).collect();
    assert_eq!(changed, ["repo_plain"]);
}
