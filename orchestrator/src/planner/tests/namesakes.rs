//! Hosts and groups that are called like what runs on them, or like what is done: they disable no entry on other hosts.

use super::{told::assert_none_changes, *};

fn containers() -> Inventory {
    inventory(
        "all:\n  hosts: {nas: {}, docker: {}, pihole: {}, jellyfin: {}, grafana: {}}\n  children:\n    lxc: {hosts: {pihole: {}, jellyfin: {}, \
         grafana: {}}}\n",
    )
}

fn called_like_actions() -> Inventory {
    inventory(
        "all:\n  hosts: {nas: {}, backup: {}, web: {}, db: {}}\n  children:\n    servers: {hosts: {web: {}, db: {}}}\n    updates: {hosts: {web: \
         {}}}\n",
    )
}

#[test]
fn what_runs_on_a_named_host_is_no_host() {
    assert_all(
        &containers(),
        &[
            (
                "restart docker on nas",
                r#"service_restart {"name":"docker"} @nas"#,
            ),
            (
                "install docker on nas",
                r#"package_install {"name":"docker"} @nas"#,
            ),
            (
                "remove grafana from nas",
                r#"package_remove {"name":"grafana"} @nas"#,
            ),
            (
                "is docker running on nas?",
                r#"service_status {"name":"docker"} @nas"#,
            ),
            ("clean up docker on nas", "docker_prune {} @nas"),
            (
                "restart nginx and docker on nas",
                r#"service_restart {"name":"nginx"} @nas; service_restart {"name":"docker"} @nas"#,
            ),
            (
                "starte docker auf nas neu",
                r#"service_restart {"name":"docker"} @nas"#,
            ),
            (
                "redémarre docker sur nas",
                r#"service_restart {"name":"docker"} @nas"#,
            ),
            // Where the word can be nothing but the machine, it is the machine.
            ("reboot docker", "reboot_host {} @docker"),
            (
                "install htop on docker",
                r#"package_install {"name":"htop"} @docker"#,
            ),
            ("reboot nas and docker", "reboot_host {} @docker,nas"),
        ],
    );
    assert_none_changes(
        &containers(),
        "restart docker
         install grafana
         stop jellyfin
         restart the jellyfin service
         clean up docker
         deploy kuma with docker
         reboot docker on nas",
    );
}

#[test]
fn what_a_request_begins_with_is_done() {
    assert_all(
        &called_like_actions(),
        &[
            (
                "back up /etc on nas",
                r#"backup_directory {"path":"/etc"} @nas"#,
            ),
            (
                "make a backup of /etc on nas",
                r#"backup_directory {"path":"/etc"} @nas"#,
            ),
            (
                "mach ein Backup von /etc auf nas",
                r#"backup_directory {"path":"/etc"} @nas"#,
            ),
            (
                "restore /etc from the backup on nas",
                r#"restore_directory {"path":"/etc"} @nas"#,
            ),
            ("update web", "package_upgrade {} @web"),
            ("update all servers", "package_upgrade {} @db,web"),
            ("install updates on nas", "package_upgrade {} @nas"),
            ("reboot backup", "reboot_host {} @backup"),
            (
                "restart nginx on backup",
                r#"service_restart {"name":"nginx"} @backup"#,
            ),
        ],
    );
}
