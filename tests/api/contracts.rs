//! The contracts v0 (RFC-ARB-0001, section 6): what is committed under docs/contracts is what the types say, and the
//! examples there are taken or refused alike by a JSON Schema validator and by the program.

use std::{fs, path::PathBuf};

use boon::{Compiler, Schemas};
use chiffon_common::{
    Action, ActionReceipt, ActionResult, AuthZDecision, AuthZRequest, CONTRACT_SCHEMAS, Event,
    EventError, GenerationResult, ResponsePlan, contract_schemas, contracts, read_contract,
};
use chiffon_tests::repository_root;
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
    fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
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
    let schema: Value = serde_json::from_str(schema).unwrap();
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
