//! Section 18: when v0.0.1 is complete, point by point. One run through all, as the document lists it; the details are held
//! by the sections before.

use crate::{
    authorizer::{Authorizer, Word},
    target::{Target, action_of, fresh, nothing_because},
};

#[tokio::test]
async fn request_generation_is_returned() {
    let target = Target::any().await;
    assert_eq!(
        action_of(&target.ask(&fresh("room")).await).0,
        "request_generation"
    );
}

#[tokio::test]
async fn do_nothing_is_returned() {
    let target = Target::any().await;
    let plan = target.decide(&target.event(&fresh("room"), false)).await;
    assert_eq!(nothing_because(&plan), "reply_policy");
}

#[tokio::test]
async fn external_rbac_works_and_jsonl_is_written_and_nothing_is_decided_twice() {
    let authorizer = Authorizer::start(Word::allows());
    let Some(target) = Target::own("section 18", &authorizer.config("")).await else {
        return;
    };
    let event = target.event(&fresh("room"), true);
    let plan = target.decide(&event).await;
    assert_eq!(action_of(&plan).0, "request_generation");
    assert_eq!(target.decide(&event).await, plan);
    assert_eq!(authorizer.asked().len(), 1);
    authorizer.says(Word::denies());
    assert_eq!(
        nothing_because(&target.ask(&fresh("room")).await),
        "authz_denied"
    );
    let decisions = target.decisions();
    let told: Vec<_> = decisions.iter().map(|one| one["result"].as_str()).collect();
    assert_eq!(told, [Some("decided"), Some("repeated"), Some("decided")]);
}

/// One executable comes out of the build.
#[tokio::test]
async fn one_executable_is_built() {
    if Target::own("the executable", "").await.is_none() {
        return;
    }
    let home = chiffon_tests::Home::new();
    let (_home, output) = crate::target::run(home, &["--version"]).await;
    let output = output.expect_code(0);
    assert!(output.stdout.starts_with("arbiter "), "{}", output.stdout);
}
