//! The OpenAPI document: what it promises of every operation, and the copy of it under docs/.

use std::collections::BTreeSet;

use chiffon_tests::repository_root;
use serde_json::Value;

/// A plausible id where an address has one.
const UUID: &str = "0190a7e0-0000-7000-8000-000000000001";

/// One operation with an address that can be asked.
#[derive(Debug)]
pub struct Operation {
    pub method: String,
    pub path: String,
    /// The address as the document has it.
    pub template: String,
    /// What the document says of it.
    pub said: Value,
}

/// The document as clients read it.
pub fn document() -> Value {
    serde_json::to_value(chiffon_orchestrator::openapi()).unwrap()
}

/// Every operation of the document.
pub fn operations() -> Vec<Operation> {
    const METHODS: [&str; 8] = [
        "get", "put", "post", "delete", "options", "head", "patch", "trace",
    ];
    let document = document();
    let mut all = Vec::new();
    for (template, item) in document["paths"].as_object().unwrap() {
        let id = match template.split('/').nth(3) {
            Some("agents") => "infrastructure",
            Some("catalogue") => "ping",
            Some("inventory") => "nas",
            Some("projects") => "default",
            _ => UUID,
        };
        let path = template.replace("{id}", id);
        assert!(
            !path.contains('{'),
            "{template} has another parameter than its id"
        );
        for (method, said) in item.as_object().unwrap() {
            if METHODS.contains(&method.as_str()) {
                all.push(Operation {
                    method: method.to_ascii_uppercase(),
                    path: path.clone(),
                    template: template.clone(),
                    said: said.clone(),
                });
            }
        }
    }
    all
}

#[test]
fn every_operation_has_a_name_a_summary_and_the_errors_that_all_have() {
    let mut names = BTreeSet::new();
    for operation in operations() {
        let Operation {
            template,
            method,
            said,
            ..
        } = &operation;
        let place = format!("{method} {template}");
        let name = said["operationId"].as_str().unwrap_or_default();
        assert!(!name.is_empty(), "{place} has no operationId");
        assert!(names.insert(name.to_owned()), "{name} is used twice");
        let summary = said["summary"].as_str().unwrap_or_default();
        assert!(!summary.is_empty(), "{place} has no summary");
        let answers = said["responses"].as_object().unwrap();
        for status in ["401", "403", "429", "500"] {
            assert!(
                answers.contains_key(status),
                "{place} says nothing of {status}"
            );
        }
        for (status, answer) in answers
            .iter()
            .filter(|(status, _)| status.as_str() >= "400")
        {
            let form = &answer["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(
                form, "#/components/schemas/ProblemBody",
                "{place}: {status}"
            );
        }
        let is_good = |status: &String| status.starts_with('2');
        assert!(answers.keys().any(is_good), "{place} never succeeds");
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn walk(document: &Value, here: &Value) {
        if let Some(target) = here.get("$ref").and_then(Value::as_str) {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target} is not there");
        }
        match here {
            Value::Object(members) => members.values().for_each(|one| walk(document, one)),
            Value::Array(members) => members.iter().for_each(|one| walk(document, one)),
            _ => {}
        }
    }
    let document = document();
    walk(&document, &document);
}

#[test]
fn the_committed_document_is_that_of_this_program() {
    let path = repository_root().join("docs/openapi.json");
    let current = chiffon_orchestrator::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("CHIFFON_BLESS").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = committed
        .lines()
        .zip(current.lines())
        .find(|(was, is)| was != is);
    assert!(
        committed == current,
        "docs/openapi.json is not the document of this program (first: {differs:?}); write it anew with\n  \
         CHIFFON_BLESS=1 cargo test -p chiffon-tests --test api the_committed_document"
    );
}
