//! docs/configuration.md: every key of the configuration.

use std::path::Path;

use super::{MADE, cell, hold};
use crate::settings::Settings;
use chiffon_program::{
    Env,
    settings::{Setting, variable},
};

const INTRODUCTION: &str = "\
Chiffon needs no configuration. What differs from the defaults stands in `chiffon.yaml` in the data folder (`CHIFFON_HOME`,
else `chiffon` in the XDG data folder); the first start writes that file with every key as a comment.

Four sources, a later one wins over an earlier one:

1. the built-in defaults
2. `chiffon.yaml`
3. environment variables: `CHIFFON_`, then the key in capitals with `__` for each dot; one that is empty counts as not set
4. flags, where a command has one for the key

An unknown key and a value that is not permitted are errors ([5801](errors/5801.md), [5802](errors/5802.md)), wherever they
stand: nothing is begun with a configuration that was understood by half.

```console
$ chiffon config show --origin
$ chiffon config validate
$ CHIFFON_LOG__LEVEL=debug chiffon up
```
";

#[test]
fn docs_configuration_is_what_the_program_says() {
    // Of no file and no environment, the defaults are in force.
    let keys = Settings::in_force(Path::new("/nowhere"), &Env::default(), &[]).unwrap();
    let mut text = format!("# Configuration\n\n{MADE}\n\n{INTRODUCTION}\n## Keys\n");
    text.extend(keys.iter().map(section));
    hold("configuration.md", &text);
}

fn section(key: &Setting) -> String {
    format!(
        "\n### {}\n\n{}\n\n| default | permitted | environment variable |\n| --- | --- | --- |\n| `{}` | {} | `{}` |\n",
        key.key,
        key.meaning,
        match key.default.as_str() {
            Some(text) => cell(text),
            None => cell(&key.default.to_string()),
        },
        cell(key.permitted),
        variable(key.key),
    )
}
