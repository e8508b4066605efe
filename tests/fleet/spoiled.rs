//! Rows whose documents nobody can read any more: the lists show all others and name these, and whoever asks for one is
//! told which row it is.

use serde_json::{Value, json};

use super::{
    proof::{Past, faults},
    world::World,
};

const LISTS: [&str; 4] = ["requests", "tasks", "decisions", "plans"];

async fn page(world: &World, list: &str) -> Value {
    let (status, page) = world.get(&format!("/api/v1/{list}")).await;
    assert_eq!(status, 200, "{list}: {page}");
    page
}

/// How many of one part of a page belong to a request.
fn of<'a>(page: &'a Value, part: &str, request: &str) -> Vec<&'a Value> {
    let rows = page[part].as_array().into_iter().flatten();
    // A plan names its request nowhere.
    let names = |row: &&Value| row["request_id"] == request;
    rows.filter(names).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoiled_row_is_named_beside_all_others_and_takes_none_of_them_away() {
    let past = Past::made().await;
    let [spoiled, whole] = &past.requests;
    for (table, text) in [
        ("requests", "{\"no\": \"request\"}"),
        ("plans", "{\"plan_id\": 7}"),
        ("tasks", "{\"no\": \"task\"}"),
        ("tasks", "no document at all"),
        ("decisions", "[]"),
        ("decisions", "{\"cut\": "),
    ] {
        let sql = format!("UPDATE {table} SET doc = '{text}' WHERE request_id = '{spoiled}'");
        let world = past.edited(&sql).await;
        for list in LISTS {
            let page = page(&world, list).await;
            let what = format!("{table} {text:?}: {list} {page:#}");
            if list == "plans" {
                assert_eq!(page["items"].as_array().unwrap().len(), 1, "{what}");
            } else {
                assert!(!of(&page, "items", whole).is_empty(), "{what}");
            }
            assert_eq!(of(&page, "unreadable", whole).len(), 0, "{what}");
            let named = of(&page, "unreadable", spoiled);
            // A list of requests needs nothing but their own documents.
            if list == "requests" && table != "requests" {
                assert_eq!(named.len(), 0, "{what}");
                assert_eq!(of(&page, "items", spoiled).len(), 1, "{what}");
                continue;
            }
            assert!(!named.is_empty(), "{what}");
            for row in named {
                assert_eq!(
                    format!("{}s", row["kind"].as_str().unwrap()),
                    list,
                    "{what}"
                );
                assert_eq!(row["problem"]["code"], 5510, "{what}");
                assert!(
                    row["problem"]["todo"].as_str().unwrap().contains("backup"),
                    "{what}"
                );
                let state = match list {
                    "requests" | "tasks" => json!("completed"),
                    "decisions" => json!("resolved"),
                    _ => Value::Null,
                };
                assert_eq!(row["state"], state, "{what}");
            }
        }
        let (status, problem) = world.get(&format!("/request/{spoiled}")).await;
        assert_eq!((status, &problem["code"]), (500, &json!(5510)), "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        let kind = table.trim_end_matches('s');
        assert!(detail.starts_with(&format!("stored {kind} ")), "{detail}");
        assert_eq!(world.get(&format!("/request/{whole}")).await.0, 200);
        let found = faults(&world, &[]).await;
        assert!(found.contains(spoiled), "{table} {text:?}: {found}");
        assert!(!found.contains(whole), "{table} {text:?}: {found}");
    }
}
