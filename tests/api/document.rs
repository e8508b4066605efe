//! The OpenAPI document: every operation there is.

use serde_json::Value;

/// A plausible id where an address has one.
const UUID: &str = "0190a7e0-0000-7000-8000-000000000001";

/// One operation with an address that can be asked.
#[derive(Debug)]
pub struct Operation {
    pub method: String,
    pub path: String,
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
        for (method, _) in item.as_object().unwrap() {
            if METHODS.contains(&method.as_str()) {
                all.push(Operation {
                    method: method.to_ascii_uppercase(),
                    path: path.clone(),
                });
            }
        }
    }
    all
}
