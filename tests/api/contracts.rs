//! The contracts v0 (RFC-ARB-0001, section 6): what is committed under docs/contracts is what the types say, and the
//! examples there are taken or refused alike by a JSON Schema validator and by the program.

use std::{fs, path::PathBuf};

use boon::{Compiler, Schemas};
use chiffon_common::{
    Action, ActionReceipt, ActionResult, AuthZDecision, AuthZRequest, CONTRACT_SCHEMAS, Event,
    EventError, GenerationResult, ResponsePlan, contract_schemas, contracts, read_contract,
};
use chiffon_tests::repository_root;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

fn folder() -> PathBuf {
    repository_root().join("docs/contracts/v0")
}

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let made = contract_schemas().unwrap();
    let served: Vec<_> = CONTRACT_SCHEMAS.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        made.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        served
    );
    for (name, schema) in made {
        let path = folder().join(format!("{name}.schema.json"));
        let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        if std::env::var_os("CHIFFON_BLESS").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap();
        assert!(
            committed == text,
            "{} is not what the types say; CHIFFON_BLESS=1 renews it",
            path.display()
        );
    }
}

#[test]
fn what_is_served_names_every_schema_and_action() {
    let alone = contracts(false).unwrap();
    assert_eq!(alone.versions, [0]);
    assert_eq!(alone.schemas.len(), CONTRACT_SCHEMAS.len());
    assert_eq!(
        alone.actions.reserved,
        ["start_agent_job", "request_approval"]
    );
    assert!(contracts(true).unwrap().actions.reserved.is_empty());
}

/// Whether the program takes a document of a contract.
fn program(contract: &str, text: &str) -> Result<(), String> {
    fn read<T: de::DeserializeOwned + serde::Serialize>(text: &str) -> Result<T, String> {
        read_contract(text.as_bytes()).map_err(|error| error.to_string())
    }
    let word = |error: EventError| error.to_string();
    match contract {
        "event" => read::<Event>(text)?.validate().map_err(word),
        "response_plan" => read::<ResponsePlan>(text).map(drop),
        "action" => read::<Action>(text).map(drop),
        "generation_result" => read::<GenerationResult>(text)?.validate().map_err(word),
        "action_result" => read::<ActionResult>(text)?.validate().map_err(word),
        "action_receipt" => read::<ActionReceipt>(text).map(drop),
        "authz_request" => read::<AuthZRequest>(text).map(drop),
        "authz_decision" => read::<AuthZDecision>(text)?.validate().map_err(word),
        other => panic!("{other} is no contract"),
    }
}

/// Whether the schema takes it.
fn validator(contract: &str, text: &str) -> Result<(), String> {
    let (_, schema) = CONTRACT_SCHEMAS
        .iter()
        .find(|(name, _)| *name == contract)
        .unwrap();
    fits(contract, serde_json::from_str(schema).unwrap(), text)
}

fn fits(contract: &str, schema: Value, text: &str) -> Result<(), String> {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.enable_format_assertions();
    let at = format!("urn:{contract}");
    compiler.add_resource(&at, schema).unwrap();
    let index = compiler.compile(&at, &mut schemas).unwrap();
    let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    schemas
        .validate(&value, index)
        .map_err(|error| error.to_string())
}

/// The examples of one kind: their name, contract and text.
fn examples(kind: &str) -> Vec<(String, String, String)> {
    let folder = folder().join("examples").join(kind);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let contract = name.split('.').next().unwrap().to_owned();
        found.push((name, contract, fs::read_to_string(path).unwrap()));
    }
    found
}

#[test]
fn the_valid_examples_are_taken_by_schema_and_program() {
    let examples = examples("valid");
    for (contract, _) in CONTRACT_SCHEMAS {
        let has_one = examples.iter().any(|(_, of, _)| of == contract);
        assert!(has_one, "{contract} has no example");
    }
    for (name, contract, text) in examples {
        assert_eq!(program(&contract, &text), Ok(()), "{name}");
        assert_eq!(validator(&contract, &text), Ok(()), "{name}");
    }
}

#[test]
fn the_invalid_examples_are_refused_by_schema_and_program() {
    for (name, contract, text) in examples("invalid") {
        assert!(
            program(&contract, &text).is_err(),
            "{name} is taken by the program"
        );
        assert!(
            validator(&contract, &text).is_err(),
            "{name} is taken by the schema"
        );
    }
}

/// Every field that a schema requires is missed by the program too, and what it leaves out may be left out.
#[test]
fn what_is_required_is_required_by_both() {
    for (name, contract, text) in examples("valid") {
        let whole: Value = serde_json::from_str(&text).unwrap();
        for field in whole.as_object().unwrap().keys() {
            let mut without = whole.clone();
            without.as_object_mut().unwrap().remove(field);
            let text = without.to_string();
            assert_eq!(
                program(&contract, &text).is_ok(),
                validator(&contract, &text).is_ok(),
                "{name} without {field}"
            );
            let mut wrong = whole.clone();
            wrong[field] = serde_json::json!([[]]);
            let text = wrong.to_string();
            assert!(
                program(&contract, &text).is_err(),
                "{name} with a wrong {field}"
            );
            assert!(
                validator(&contract, &text).is_err(),
                "{name} with a wrong {field}"
            );
        }
        let mut more = whole.clone();
        more["more"] = serde_json::json!(1);
        let text = more.to_string();
        assert_eq!(
            program(&contract, &text).is_ok(),
            validator(&contract, &text).is_ok(),
            "{name} with a field more"
        );
    }
}

/// A document with its keys in the order in which they stand there.
#[derive(Clone)]
enum Tree {
    Leaf(Value),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> de::Visitor<'de> for Reader {
            type Value = Tree;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Leaf(Value::Null))
            }
            fn visit_bool<E>(self, v: bool) -> Result<Tree, E> {
                Ok(Tree::Leaf(v.into()))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Tree, E> {
                Ok(Tree::Leaf(v.into()))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Tree, E> {
                Ok(Tree::Leaf(v.into()))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Tree, E> {
                Ok(Tree::Leaf(v.into()))
            }
            fn visit_str<E>(self, v: &str) -> Result<Tree, E> {
                Ok(Tree::Leaf(v.into()))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = from.next_element()? {
                    items.push(item);
                }
                Ok(Tree::List(items))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = from.next_entry()? {
                    fields.push(field);
                }
                Ok(Tree::Map(fields))
            }
        }
        from.deserialize_any(Reader)
    }
}

impl Tree {
    fn text(&self) -> String {
        match self {
            Self::Leaf(value) => value.to_string(),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(Self::text).collect();
                format!("[{}]", items.join(","))
            }
            Self::Map(fields) => {
                let fields = fields
                    .iter()
                    .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), value.text()));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }
        }
    }

    /// The document with one value changed, for every value of it that `change` changes.
    fn each(&self, change: &dyn Fn(&Self) -> Option<Self>) -> Vec<Self> {
        let mut all: Vec<Self> = change(self).into_iter().collect();
        match self {
            Self::Leaf(_) => {}
            Self::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    all.extend(item.each(change).into_iter().map(|item| {
                        let mut items = items.clone();
                        items[at] = item;
                        Self::List(items)
                    }));
                }
            }
            Self::Map(fields) => {
                for (at, (_, value)) in fields.iter().enumerate() {
                    all.extend(value.each(change).into_iter().map(|value| {
                        let mut fields = fields.clone();
                        fields[at].1 = value;
                        Self::Map(fields)
                    }));
                }
            }
        }
        all
    }
}

/// The valid examples as the program writes them: in the order of its fields, which its reader takes from a list.
fn written() -> Vec<(String, String, Tree)> {
    fn again<T: de::DeserializeOwned + serde::Serialize>(text: &str) -> String {
        serde_json::to_string(&serde_json::from_str::<T>(text).unwrap()).unwrap()
    }
    let tree = |(name, contract, text): (String, String, String)| {
        let text = match contract.as_str() {
            "event" => again::<Event>(&text),
            "response_plan" => again::<ResponsePlan>(&text),
            "action" => again::<Action>(&text),
            "generation_result" => again::<GenerationResult>(&text),
            "action_result" => again::<ActionResult>(&text),
            "action_receipt" => again::<ActionReceipt>(&text),
            "authz_request" => again::<AuthZRequest>(&text),
            "authz_decision" => again::<AuthZDecision>(&text),
            other => panic!("{other} is no contract"),
        };
        (name, contract, serde_json::from_str(&text).unwrap())
    };
    examples("valid").into_iter().map(tree).collect()
}

/// Another tree in the place of one; nothing where there is none.
type Change<'a> = &'a dyn Fn(&Tree) -> Option<Tree>;

/// Readers made by serde take the fields of an object from a list, and the name of a variant from an object.
#[test]
fn another_shape_is_taken_by_both_or_by_neither() {
    let list = |tree: &Tree| match tree {
        Tree::Map(fields) => Some(Tree::List(fields.iter().map(|(_, v)| v.clone()).collect())),
        _ => None,
    };
    let named = |tree: &Tree| match tree {
        Tree::Leaf(Value::String(name)) => {
            Some(Tree::Map(vec![(name.clone(), Tree::Leaf(Value::Null))]))
        }
        _ => None,
    };
    let alone = |tree: &Tree| Some(Tree::List(vec![tree.clone()]));
    let bare = |tree: &Tree| match tree {
        Tree::List(items) if items.len() == 1 => items.first().cloned(),
        _ => None,
    };
    let changes: [(&str, Change<'_>); 4] = [
        ("a list of its fields", &list),
        ("an object with its name", &named),
        ("a list of it", &alone),
        ("without its list", &bare),
    ];
    let mut refused = 0;
    for (name, contract, tree) in written() {
        assert_eq!(program(&contract, &tree.text()), Ok(()), "{name}");
        for (word, change) in changes {
            for changed in tree.each(change) {
                let text = changed.text();
                let said = program(&contract, &text);
                let schema = validator(&contract, &text);
                assert_eq!(
                    said.is_ok(),
                    schema.is_ok(),
                    "{name}, {word}: {text}\n{said:?}\n{schema:?}"
                );
                refused += usize::from(said.is_err());
            }
        }
    }
    assert!(refused > 300, "only {refused} were refused");
}

/// Readers of UUIDs take more forms than `format: uuid` does.
#[test]
fn a_uuid_is_taken_in_one_form_by_both() {
    let forms: [fn(&str) -> String; 5] = [
        |id| id.replace('-', ""),
        |id| format!("{{{id}}}"),
        |id| format!("urn:uuid:{id}"),
        |id| format!("URN:uuid:{id}"),
        |id| id.to_uppercase(),
    ];
    let mut tried = 0;
    for (name, contract, tree) in written() {
        for form in forms {
            let other = |tree: &Tree| match tree {
                Tree::Leaf(Value::String(id)) if id.parse::<uuid::Uuid>().is_ok() => {
                    Some(Tree::Leaf(form(id).into()))
                }
                _ => None,
            };
            for changed in tree.each(&other) {
                let text = changed.text();
                let said = program(&contract, &text);
                assert_eq!(
                    said.is_ok(),
                    validator(&contract, &text).is_ok(),
                    "{name}: {text} {said:?}"
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 50, "only {tried} were tried");
}

/// In many dialects `$` also fits before a line end that ends the text. Where it does, the examples stay refused.
#[test]
fn the_schemas_mean_the_same_to_validators_of_other_dialects() {
    fn lenient(value: &mut Value) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(pattern)) = map.get_mut("pattern")
                    && let Some(body) = pattern.strip_suffix('$')
                {
                    *pattern = format!("{body}\\n?$");
                }
                map.values_mut().for_each(lenient);
            }
            Value::Array(items) => items.iter_mut().for_each(lenient),
            _ => {}
        }
    }
    let takes = |contract: &str, text: &str| {
        let found = CONTRACT_SCHEMAS.iter().find(|(name, _)| *name == contract);
        let mut schema: Value = serde_json::from_str(found.unwrap().1).unwrap();
        lenient(&mut schema);
        fits(contract, schema, text).is_ok()
    };
    let line_end = |tree: &Tree| match tree {
        Tree::Leaf(Value::String(text)) => Some(Tree::Leaf(format!("{text}\n").into())),
        _ => None,
    };
    for (name, contract, text) in examples("invalid") {
        assert!(!takes(&contract, &text), "{name}");
    }
    for (name, contract, tree) in written() {
        assert!(takes(&contract, &tree.text()), "{name}");
        for changed in tree.each(&line_end) {
            let text = changed.text();
            assert_eq!(
                takes(&contract, &text),
                validator(&contract, &text).is_ok(),
                "{name}: {text}"
            );
        }
    }
}

#[test]
fn no_object_has_a_key_twice() {
    let twice = |tree: &Tree| match tree {
        Tree::Map(fields) if !fields.is_empty() => {
            let mut fields = fields.clone();
            fields.push(fields[0].clone());
            Some(Tree::Map(fields))
        }
        _ => None,
    };
    for (name, contract, tree) in written() {
        for changed in tree.each(&twice) {
            let text = changed.text();
            assert!(program(&contract, &text).is_err(), "{name}: {text}");
        }
    }
    // Also where fields are passed over.
    for more in [
        "\"more\":1,\"more\":1",
        "\"more\":[{\"a\":1,\"\\u0061\":2}]",
    ] {
        let text = format!("{{\"v\":0,\"decision\":\"allow\",{more}}}");
        assert!(program("authz_decision", &text).is_err(), "{text}");
    }
}

#[test]
fn what_is_nested_too_deep_is_refused_wherever_it_stands() {
    let deep = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!("{{\"v\":0,\"decision\":\"allow\",\"more\":{open}{close}}}")
    };
    assert_eq!(program("authz_decision", &deep(31)), Ok(()));
    assert!(program("authz_decision", &deep(32)).is_err());
}
