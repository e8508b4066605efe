//! Names that people, models and repositories choose: hosts, catalogue entries, parameters.
//!
//! Each is checked once, in its constructor, so that nothing unchecked can reach a command line, a
//! file name or an inventory (S2, S3).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Why a text is no permitted name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} is not permitted: {rule}")]
pub struct NameError {
    what: &'static str,
    text: String,
    rule: &'static str,
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $check:ident, $max:literal, $pattern:literal, $rule:literal);+ $(;)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        #[cfg(feature = "openapi")]
        crate::schema::text_schema!($name, $max, $pattern);

        impl $name {
            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                if $check(&text) {
                    Ok(Self(text))
                } else {
                    Err(NameError { what: $what, text: text.chars().take(80).collect(), rule: $rule })
                }
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

names! {
    /// A host of the inventory (S3).
    HostName, "host name", is_host_name, 253, r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$",
        "lower-case letters, digits and inner hyphens, in parts separated by dots, 253 characters at most";
    /// An entry of the catalogue, which is also the file name of its playbook.
    EntryId, "catalogue entry", is_entry_id, 64, "^[a-z][a-z0-9_]*$",
        "a lower-case letter, then lower-case letters, digits and underscores, 64 characters at most";
    /// A declared parameter of an entry; never one that Ansible itself would obey (S2).
    ParameterName, "parameter name", is_parameter_name, 64, "^[A-Za-z][A-Za-z0-9_]*$",
        "a letter, then letters, digits and underscores, 64 characters at most, and no name that Ansible reserves (ansible_*, hostvars, ...)";
}

fn is_host_name(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_part = |part: &str| {
        part.len() <= 63
            && part.starts_with(edge)
            && part.ends_with(edge)
            && part.chars().all(|c| edge(c) || c == '-')
    };
    !text.is_empty() && text.len() <= 253 && text.split('.').all(is_part)
}

fn is_entry_id(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_parameter_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !forbidden_key(text)
}

/// Whether Ansible would obey a variable of this name instead of passing it on: `ansible_*`, the
/// magic variables, and the `__ansible*` keys of its JSON form, which are refused at any depth (S2).
/// `chiffon_*` is refused as well: those names carry what the agent itself tells a playbook.
pub fn forbidden_key(key: &str) -> bool {
    const MAGIC: [&str; 13] = [
        "hostvars",
        "groups",
        "group_names",
        "inventory_hostname",
        "inventory_hostname_short",
        "inventory_dir",
        "inventory_file",
        "omit",
        "play_hosts",
        "playbook_dir",
        "role_name",
        "role_path",
        "vars",
    ];
    let lower = key.to_ascii_lowercase();
    lower.starts_with("ansible_")
        || lower == "ansible"
        || lower.starts_with("__ansible")
        || lower.starts_with("chiffon_")
        || MAGIC.contains(&lower.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_follow_the_inventory_rule() {
        for good in ["nas", "a", "web-1.lan", "10.0.0.7", "x1"] {
            assert!(good.parse::<HostName>().is_ok(), "{good}");
        }
        for bad in [
            "", "-nas", "nas-", "Nas", "a b", "a..b", "{{x}}", "nas;id", "../x", "a_b", "ü",
        ] {
            assert!(bad.parse::<HostName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn entry_ids_are_safe_file_names() {
        assert!("host_report".parse::<EntryId>().is_ok());
        for bad in ["../x", "a/b", "A", "", "a.yml", "1a"] {
            assert!(bad.parse::<EntryId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn parameters_never_carry_a_name_that_ansible_obeys() {
        for bad in [
            "ansible_python_interpreter",
            "Ansible_Connection",
            "hostvars",
            "__ansible_unsafe",
            "vars",
            "chiffon_run_id",
            "a-b",
        ] {
            assert!(bad.parse::<ParameterName>().is_err(), "{bad}");
        }
        assert!("content".parse::<ParameterName>().is_ok());
    }
}
