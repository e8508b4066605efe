//! The one Ansible that suites with real playbooks share.

use std::{path::PathBuf, sync::OnceLock};

use chiffon_agent_infra::AnsibleLocator;
use chiffon_tests::repository_root;

/// The Ansible that all tests but one share, installed by the product's own means.
pub fn shared_ansible() -> PathBuf {
    static SHARED: OnceLock<PathBuf> = OnceLock::new();
    let install = || {
        let home = repository_root().join("target/test-ansible");
        let ansible = AnsibleLocator::new(&home)
            .ensure(&|step| println!("{step}"))
            .expect("an Ansible");
        println!("shared Ansible: {}", ansible.playbook.display());
        home.join("ansible")
    };
    SHARED.get_or_init(install).clone()
}
