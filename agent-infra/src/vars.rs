//! The variables of a run as a YAML file in which every string is `!unsafe` (S1): Ansible passes such
//! a string on and never looks for a template in it. Whether a parameter is declared was judged before;
//! names that Ansible would obey are refused here once more, at any depth (S2).

use std::fmt::Write as _;

use chiffon_agent::Work;
use chiffon_common::{ErrorCode, Mode, ParameterName, Parameters, Problem, forbidden_key};
use serde_json::{Number, Value};

/// The file for this run.
///
/// # Errors
/// 5107 where a name is one that Ansible would obey.
pub(crate) fn vars_file(work: &Work) -> Result<String, Problem> {
    let mut file = parameters(&work.parameters)?;
    let mode = match work.mode {
        Mode::Check => "check",
        Mode::Apply => "apply",
    };
    let own = [
        ("chiffon_run_id", work.run_id()),
        ("chiffon_task_id", work.attempt.task_id.to_string()),
        ("chiffon_attempt", work.attempt.attempt.to_string()),
        ("chiffon_mode", mode.to_owned()),
    ];
    for (name, value) in own {
        quoted(&mut file, name);
        file.push(':');
        below(&mut file, 0, &Value::String(value))?;
    }
    Ok(file)
}

fn parameters(parameters: &Parameters) -> Result<String, Problem> {
    let mut file = String::from("---\n");
    for (name, value) in parameters {
        if name.parse::<ParameterName>().is_err() {
            return Err(forbidden(name));
        }
        field(&mut file, 0, name, value)?;
    }
    Ok(file)
}

fn forbidden(name: &str) -> Problem {
    let shown: String = name.chars().take(80).collect();
    Problem::new(
        ErrorCode::ParameterForbidden,
        format!("A parameter or field named {shown:?} is never passed on to Ansible."),
        "Use the parameters that `chiffon catalogue show` lists for the entry.",
    )
}

/// `"name": value`, with what belongs to the value on deeper lines.
fn field(file: &mut String, depth: usize, name: &str, value: &Value) -> Result<(), Problem> {
    if forbidden_key(name) {
        return Err(forbidden(name));
    }
    indent(file, depth);
    quoted(file, name);
    file.push(':');
    below(file, depth, value)
}

fn below(file: &mut String, depth: usize, value: &Value) -> Result<(), Problem> {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            file.push('\n');
            for (name, value) in fields {
                field(file, depth + 1, name, value)?;
            }
        }
        Value::Array(items) if !items.is_empty() => {
            file.push('\n');
            for item in items {
                indent(file, depth + 1);
                file.push('-');
                below(file, depth + 1, item)?;
            }
        }
        Value::Object(_) => file.push_str(" {}\n"),
        Value::Array(_) => file.push_str(" []\n"),
        Value::Null => file.push_str(" null\n"),
        Value::Bool(true) => file.push_str(" true\n"),
        Value::Bool(false) => file.push_str(" false\n"),
        Value::Number(number) => {
            file.push(' ');
            typed(file, number);
            file.push('\n');
        }
        Value::String(text) => {
            file.push_str(" !unsafe ");
            quoted(file, text);
            file.push('\n');
        }
    }
    Ok(())
}

fn indent(file: &mut String, depth: usize) {
    for _ in 0..depth {
        file.push_str("  ");
    }
}

/// A number as YAML 1.1 reads one: an exponent without point or sign would make it a string.
fn typed(file: &mut String, number: &Number) {
    let mut text = number.to_string();
    if !number.is_f64() {
        file.push_str(&text);
        return;
    }
    let exponent = text.find(['e', 'E']).map(|at| text.split_off(at));
    file.push_str(&text);
    if !text.contains('.') {
        file.push_str(".0");
    }
    if let Some(exponent) = exponent {
        let digits = exponent[1..].trim_start_matches('+');
        let sign = if digits.starts_with('-') { "" } else { "+" };
        file.push('e');
        file.push_str(sign);
        file.push_str(digits);
    }
}

/// A double-quoted scalar of printable ASCII only, so that no reader can fold, reject or change a
/// character of it.
fn quoted(file: &mut String, text: &str) {
    file.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                file.push('\\');
                file.push(c);
            }
            ' '..='~' => file.push(c),
            _ => {
                // Writing to a string cannot fail.
                let _infallible = write!(file, "\\U{:08X}", u32::from(c));
            }
        }
    }
    file.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn of(value: Value) -> Result<String, Problem> {
        let Value::Object(fields) = value else {
            panic!("an object");
        };
        let parameters: Parameters = fields.into_iter().collect();
        super::parameters(&parameters)
    }

    #[test]
    fn every_string_is_unsafe_at_any_depth_and_everything_else_typed() {
        let file = of(json!({
            "a": "{{ x }}", "b": [1, -2.5, 1e20, 1e-7, true, null, "y", [], {}],
            "c": {"d": [["{% z %}"]]},
        }))
        .unwrap();
        let expected = "---\n\"a\": !unsafe \"{{ x }}\"\n\"b\":\n  - 1\n  - -2.5\n  - 1.0e+20\n  - 1.0e-7\n  - true\n  \
            - null\n  - !unsafe \"y\"\n  - []\n  - {}\n\"c\":\n  \"d\":\n    -\n      - !unsafe \"{% z %}\"\n";
        assert_eq!(file, expected);
    }

    #[test]
    fn a_string_is_one_line_of_ascii_whatever_it_holds() {
        let file =
            of(json!({"a": "\u{0}\n\r\t\u{7f}\u{85}\u{2028}\u{feff}\u{ffff}😀\"\\ü "})).unwrap();
        assert_eq!(file.lines().count(), 2);
        assert!(file.is_ascii());
        assert!(file.contains("\\U0001F600\\\"\\\\\\U000000FC \""), "{file}");
    }

    #[test]
    fn names_that_ansible_obeys_are_refused_at_any_depth() {
        for bad in [
            json!({"ansible_python_interpreter": "/x"}),
            json!({"a": {"ansible_connection": "local"}}),
            json!({"a": [{"b": {"__ansible_unsafe": "x"}}]}),
            json!({"hostvars": {}}),
            json!({"a b": 1}),
            json!({"chiffon_run_id": "x"}),
        ] {
            let problem = of(bad.clone()).unwrap_err();
            assert_eq!(problem.code, ErrorCode::ParameterForbidden, "{bad}");
        }
        assert!(of(Value::Object(Map::new())).is_ok());
    }
}
