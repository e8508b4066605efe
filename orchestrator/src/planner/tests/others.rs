//! Hosts that a sentence leaves out, however it says so: what is done elsewhere is done there and nowhere else.

use super::*;

fn racks() -> Inventory {
    inventory(
        "all:\n  hosts: {localhost: {}, nas: {}, tower: {}, pi: {}, web1: {}, web2: {}}\n  children:\n    media: {hosts: {nas: {}, tower: {}}}\n    web: {hosts: {web1: {}, web2: {}}}\n",
    )
}

#[test]
fn who_comes_behind_but_is_left_out() {
    assert_all(
        &racks(),
        &[
            ("reboot the media hosts but nas", "reboot_host {} @tower"),
            ("reboot the web group but web1", "reboot_host {} @web2"),
            (
                "restart nginx on every server but web1",
                r#"service_restart {"name":"nginx"} @localhost,nas,pi,tower,web2"#,
            ),
            (
                "remove nginx from all hosts but the web ones",
                r#"package_remove {"name":"nginx"} @localhost,nas,pi,tower"#,
            ),
        ],
    );
}
