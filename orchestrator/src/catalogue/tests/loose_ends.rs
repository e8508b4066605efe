//! What `undo` and `verify` name must be able to run.

use super::loaded;

#[test]
fn an_undo_or_verify_that_could_never_run_is_refused() {
    let spec = "argument_specs:\n  main:\n    options:\n      path: {type: str, required: true}\n";
    let reason_of = |metadata: &str| {
        let catalogue = loaded(&[
            ("playbooks/one.yml", "- hosts: all\n"),
            ("playbooks/one.chiffon.yml", metadata),
            ("playbooks/back.yml", "- hosts: all\n  roles: [back]\n"),
            ("roles/back/meta/argument_specs.yml", spec),
        ]);
        let broken = catalogue.broken().iter();
        broken.map(|file| file.reason.clone()).collect::<Vec<_>>()
    };
    for key in ["undo", "verify"] {
        let fine = format!("{key}: {{entry: back, parameters: {{path: /tmp/x}}}}\n");
        assert_eq!(reason_of(&fine), Vec::<String>::new(), "{fine}");
        for (parameters, part) in [
            ("{path: /x, zz: 1}", "declares no parameter \"zz\""),
            ("{paht: /x}", "did you mean \"path\"?"),
            ("{}", "back needs \"path\""),
        ] {
            let metadata = format!("{key}: {{entry: back, parameters: {parameters}}}\n");
            let reasons = reason_of(&metadata);
            assert_eq!(reasons.len(), 1, "{metadata}: {reasons:?}");
            assert!(reasons[0].contains(part), "{metadata}: {reasons:?}");
        }
    }
    for (metadata, part) in [
        ("undo: {none: ''}\n", "says no reason"),
        ("undo: {none: '  '}\n", "says no reason"),
        ("verify: {entry: one}\n", "one itself"),
    ] {
        let reasons = reason_of(metadata);
        assert!(reasons.concat().contains(part), "{metadata}: {reasons:?}");
    }
    assert_eq!(reason_of("undo: {none: because}\n"), Vec::<String>::new());
}
