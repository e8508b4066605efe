//! The first inventory: this machine, and comments that show how to add others.

use std::{fs, io::Write as _, path::Path};

use chiffon_common::{ErrorCode, Problem};

const HEAD: &str = "---
# The machines that Chiffon may work on, as an Ansible inventory (YAML form).
# Add one below `hosts`, then pin its SSH key with `chiffon inventory trust NAME`:
#
#     nas:
#       ansible_host: 192.168.1.20            # address; without it the name is looked up
#       ansible_user: admin
#       ansible_ssh_private_key_file: ~/.ssh/id_ed25519
#       chiffon_aliases: [storage, \"the box\"]  # what else you call it
#
# Groups work as in Ansible:
#
#   children:
#     media:
#       hosts: {nas: {}}
#       vars: {ansible_user: admin}
";

/// Writes `hosts.yml` with localhost, unless there is one already; says whether it did. Makes the folder.
///
/// # Errors
/// 5503 where the folder cannot be written.
pub fn write_default(dir: &Path, hostname: &str) -> Result<bool, Problem> {
    let path = dir.join("hosts.yml");
    let comment: String = hostname
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c))
        .collect();
    let text = format!(
        "{HEAD}all:\n  hosts:\n    # This machine ({comment}); no SSH is needed for it.\n    localhost:\n      ansible_connection: local\n"
    );
    let write = || {
        fs::create_dir_all(dir)?;
        if path.try_exists()? {
            return Ok(false);
        }
        let fresh = dir.join(".hosts.yml.new");
        let mut file = fs::File::create(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        Ok(true)
    };
    write().map_err(|error: std::io::Error| {
        let detail = format!("{} cannot be written: {error}", path.display());
        Problem::new(
            ErrorCode::StoreReadOnly,
            detail,
            "make the data folder writable",
        )
    })
}
