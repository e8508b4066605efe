//! Code that lies outside of the folder is in no digest: an entry that leads to it is refused, and what cannot be seen
//! before it runs counts as dangerous.

use super::*;

#[test]
fn an_entry_that_leads_out_of_its_folder_is_refused_by_name() {
    let play = |rest: &str| format!("- hosts: all\n{rest}");
    for text in [
        "- import_playbook: /srv/elsewhere.yml\n".to_owned(),
        "- ansible.builtin.import_playbook: ../../elsewhere.yml\n".to_owned(),
        play("  roles: [/srv/role]\n"),
        play("  roles: [{role: ../../role}]\n"),
        play("  tasks: [{include_tasks: /srv/tasks.yml}]\n"),
        play("  tasks: [{ansible.builtin.import_tasks: {file: ../../../tasks.yml}}]\n"),
        play("  tasks: [{block: [{include_tasks: ~/tasks.yml}]}]\n"),
        play("  tasks: [{include_role: {name: /srv/role}}]\n"),
    ] {
        let catalogue = loaded(&[
            ("playbooks/one.yml", &text),
            ("playbooks/one.chiffon.yml", "tier: 0\n"),
        ]);
        assert!(catalogue.get("one").is_none(), "{text}");
        let reason = &catalogue.broken()[0].reason;
        assert!(
            reason.contains("leads out of the folder") || reason.contains("is not in"),
            "{text}: {reason}"
        );
    }
}

#[test]
fn what_cannot_be_seen_before_it_runs_is_dangerous_whatever_it_says_of_itself() {
    let play = |rest: &str| format!("- hosts: all\n{rest}");
    for text in [
        "- import_playbook: \"{{ which }}\"\n".to_owned(),
        play("  tasks: [{include_tasks: \"{{ which }}\"}]\n"),
        play("  tasks: [{include_role: {name: \"{{ which }}\"}}]\n"),
        play("  tasks: [{include_tasks: gone.yml}]\n"),
        play("  vars_files: [/srv/vars.yml]\n"),
    ] {
        let catalogue = loaded(&[
            ("playbooks/one.yml", &text),
            ("playbooks/one.chiffon.yml", "tier: 0\n"),
        ]);
        let entry = catalogue.get("one");
        let entry = entry.unwrap_or_else(|| panic!("{text}: {:?}", catalogue.broken()));
        assert_eq!(entry.tier, Tier::Two, "{text}");
        assert!(!entry.tier_because.is_empty(), "{text}");
    }
}
