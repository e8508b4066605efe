//! Nothing without the token (DESIGN section 6): every operation that the document names, and the pages.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    client::{Reply, problem},
    document::operations,
    world::{Act, TOKEN, World},
};

/// Pages that a browser opens by itself.
const PAGES: [&str; 3] = ["/api/v1/openapi.json", "/api/docs/", "/errors/5004"];
/// An address may send twenty wrong tokens in a burst; a new server has counted none. Three calls each.
const AT_ONCE: usize = 6;

fn basic(password: &str) -> String {
    format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("anna:{password}"))
    )
}

async fn is_refused(world: &World, reply: &Reply, path: &str, scheme: &str) {
    problem(world, reply, 401, 5201, path).await;
    let asked = reply.header("www-authenticate").unwrap_or_default();
    assert!(asked.starts_with(scheme), "{path}: {asked:?}");
}

/// Everything there is: method, path, whether it is a page.
fn everything() -> Vec<(String, String, bool)> {
    let pages = PAGES.map(|page| ("GET".to_owned(), page.to_owned(), true));
    let operations = operations()
        .into_iter()
        // Said to need none.
        .filter(|one| one.path != "/v0/healthz")
        .map(|one| (one.method, one.path, false));
    operations.chain(pages).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_operation_and_no_page_answers_without_the_token() {
    let mut world = World::plain(Act::Complete).await;
    let all = everything();
    assert!(all.len() > 30, "the document is read: {all:?}");
    for some in all.chunks(AT_ONCE) {
        world.crash_orchestrator().await;
        world.start_orchestrator().await;
        for (method, path, is_page) in some {
            let scheme = if *is_page { "Basic " } else { "Bearer " };
            let without = world.call(method, path).without_token().send().await;
            is_refused(&world, &without, path, scheme).await;
            let wrong = world.call(method, path).token("chf_wrong").send().await;
            is_refused(&world, &wrong, path, scheme).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_right_token_opens_every_operation_and_every_page() {
    let world = World::plain(Act::Complete).await;
    for (method, path, is_page) in everything() {
        // Its body may have no end: what counts is how it begins.
        let answer = world.call(&method, &path).begin().await;
        let status = answer.status().as_u16();
        assert!(![401, 403].contains(&status), "{method} {path}: {status}");
        assert!(status < 500, "{method} {path}: {status}");
        assert!(!is_page || status == 200, "{method} {path}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_may_give_the_token_as_a_password_on_the_pages_and_nowhere_else() {
    let mut world = World::plain(Act::Complete).await;
    for some in everything().chunks(AT_ONCE) {
        world.crash_orchestrator().await;
        world.start_orchestrator().await;
        for (method, path, is_page) in some {
            let right = world.call(method, path).without_token();
            let right = right.header("authorization", basic(TOKEN)).send().await;
            if *is_page {
                assert_eq!(right.status, 200, "{path}");
                let wrong = world.call(method, path).without_token();
                let wrong = wrong
                    .header("authorization", basic("chf_wrong"))
                    .send()
                    .await;
                is_refused(&world, &wrong, path, "Basic ").await;
            } else {
                is_refused(&world, &right, path, "Bearer ").await;
            }
        }
    }
    let path = "/errors/5004";
    let post = world.call("POST", path).without_token();
    let post = post.header("authorization", basic(TOKEN)).send().await;
    is_refused(&world, &post, path, "Basic ").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_wrong_tokens_are_slowed_down_and_the_right_one_is_not() {
    let world = World::plain(Act::Complete).await;
    let mut slowed = 0;
    for n in 0..40 {
        let token = format!("chf_guess{n}");
        let reply = world.call("GET", "/health").token(&token).send().await;
        if reply.status == 429 {
            slowed += 1;
            problem(&world, &reply, 429, 5014, "/health").await;
            let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=5).contains(&wait), "{wait}");
        } else {
            is_refused(&world, &reply, "/health", "Bearer ").await;
        }
    }
    assert!(slowed > 10, "{slowed} of 40 guesses were slowed down");
    world.call("GET", "/health").send().await.expect(200);
}
