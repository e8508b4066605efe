//! The variables of a run as a JSON file in which every string is `{"__ansible_unsafe": "..."}` (S1):
//! Ansible passes such a string on and never looks for a template in it. Not YAML with `!unsafe`: from
//! ansible-core 2.19 on that tag reads a quoted "yes", "12" or "" as a boolean, a number or nothing.
//!
//! Whether a parameter is declared was judged before; names that Ansible would obey are refused here
//! once more, at any depth (S2).

use chiffon_agent::Work;
use chiffon_common::{ErrorCode, Mode, ParameterName, Parameters, Problem, forbidden_key};
use serde_json::{Map, Value, json};

/// The file for this run.
///
/// # Errors
/// 5107 where a name is one that Ansible would obey.
pub(crate) fn vars_file(work: &Work) -> Result<String, Problem> {
    let mut vars = parameters(&work.parameters)?;
    let mode = match work.mode {
        Mode::Check => "check",
        Mode::Apply => "apply",
    };
    let own = [
        // The same over every attempt of a task, so that a second one finds what the first had kept.
        ("chiffon_run_id", work.attempt.task_id.to_string()),
        ("chiffon_attempt", work.attempt.attempt.to_string()),
        ("chiffon_mode", mode.to_owned()),
    ];
    for (name, value) in own {
        vars.insert(name.to_owned(), text(&value));
    }
    Ok(in_ascii(&Value::Object(vars).to_string()))
}

fn parameters(parameters: &Parameters) -> Result<Map<String, Value>, Problem> {
    match parameters
        .keys()
        .find(|name| name.parse::<ParameterName>().is_err())
    {
        Some(name) => Err(forbidden(name)),
        None => fields(parameters),
    }
}

fn fields(fields: &Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    let inert = |(name, value): (&String, &Value)| match forbidden_key(name) {
        true => Err(forbidden(name)),
        false => Ok((name.clone(), inert(value)?)),
    };
    fields.iter().map(inert).collect()
}

fn inert(value: &Value) -> Result<Value, Problem> {
    Ok(match value {
        Value::String(content) => text(content),
        Value::Array(items) => items.iter().map(inert).collect::<Result<_, _>>()?,
        Value::Object(inner) => Value::Object(fields(inner)?),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

fn text(content: &str) -> Value {
    json!({ "__ansible_unsafe": content })
}

/// The same JSON in printable ASCII, so that no reader can fold, reject or change a character of it.
fn in_ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if matches!(c, ' '..='~') {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii
}

fn forbidden(name: &str) -> Problem {
    let shown: String = name.chars().take(80).collect();
    Problem::new(
        ErrorCode::ParameterForbidden,
        format!("A parameter or field named {shown:?} is never passed on to Ansible."),
        "Use the parameters that `chiffon catalogue show` lists for the entry.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: Value) -> Result<Value, Problem> {
        let Value::Object(fields) = value else {
            panic!("an object");
        };
        parameters(&fields).map(Value::Object)
    }

    #[test]
    fn every_string_is_unsafe_at_any_depth_and_everything_else_typed() {
        let found = of(json!({
            "a": "{{ x }}", "b": [1, -2.5, true, null, "y", [], {}], "c": {"d": [["{% z %}"]]},
        }));
        let marked = |text: &str| json!({ "__ansible_unsafe": text });
        let expected = json!({
            "a": marked("{{ x }}"), "b": [1, -2.5, true, null, marked("y"), [], {}],
            "c": {"d": [[marked("{% z %}")]]},
        });
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    fn the_file_is_printable_ascii_and_says_the_same() {
        let value = json!({"a": "\u{0}\n\r\t\u{7f}\u{85}\u{2028}\u{feff}\u{ffff}😀\"\\ü "});
        let file = in_ascii(&value.to_string());
        assert!(file.chars().all(|c| matches!(c, ' '..='~')), "{file}");
        assert_eq!(serde_json::from_str::<Value>(&file).unwrap(), value);
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
