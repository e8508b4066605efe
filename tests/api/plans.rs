//! Plans over HTTP: the bytes have the digest that is approved, and many hosts are asked about in short.

use std::{fs, sync::Arc};

use chiffon_bus::MemoryBus;
use chiffon_common::{Digest, Plan};
use serde_json::Value;

use super::{
    client::problem,
    world::{Act, World},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bytes_of_a_plan_have_its_digest() {
    let world = World::plain(Act::Complete).await;
    let request = world.ask("write_file path=/tmp/x content=y on nas").await;
    let shown = world.until(&request, &["awaiting_approval"]).await;
    let path = format!("/api/v1/requests/{request}/plan/bytes");
    let reply = world.call("GET", &path).send().await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let subject = reply.expect(200);
    let digest = Digest::of_bytes(&reply.body).to_string();
    assert_eq!(
        shown["plan"]["digest"], digest,
        "the bytes have another digest"
    );
    assert_eq!(shown["decisions"][0]["digest"], digest);
    let plan: Plan = serde_json::from_value(shown["plan"].clone()).unwrap();
    let mut sealed = subject.clone();
    sealed["digest"] = digest.into();
    let sealed: Plan = serde_json::from_value(sealed).unwrap();
    assert_eq!(sealed, plan, "the bytes hold another plan than is shown");
    assert_eq!(subject["requester"], "local:anna");
    assert_eq!(plan.tier_because, "write_file of the shipped catalogue");

    let request = world.ask("ping").await;
    world.until(&request, &["needs_input"]).await;
    let path = format!("/api/v1/requests/{request}/plan/bytes");
    let reply = world.call("GET", &path).send().await;
    problem(&world, &reply, 404, 5004, &path).await;
}

/// A plan for five hundred hosts is asked about in words that stay short, and shown with all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_of_five_hundred_hosts_is_asked_about_in_short() {
    const HOSTS: usize = 500;
    let world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    let mut hosts =
        "all:\n  vars:\n    ansible_connection: local\n  children:\n    many:\n      hosts:\n"
            .to_owned();
    for n in 0..HOSTS {
        hosts += &format!("        host-{n:03}:\n");
    }
    fs::write(world.home.path().join("inventory/hosts.yml"), hosts).unwrap();
    let world = world.start().await;
    let request = world.ask("write_file path=/tmp/x content=y on many").await;
    let waits = world.until(&request, &["awaiting_approval"]).await;
    let named = waits["plan"]["steps"][0]["hosts"].as_array().unwrap();
    assert_eq!(named.len(), HOSTS);
    let short = |text: &Value, most: usize| {
        let text = text.as_str().unwrap();
        assert!(text.chars().count() <= most, "{text}");
    };
    short(&waits["because"], 300);
    short(&waits["decisions"][0]["question"], 300);
    let path = format!("/api/v1/requests/{request}");
    let answer = world.call("GET", &path).send().await;
    assert!(answer.body.len() < 1 << 20, "{} bytes", answer.body.len());
    let path = format!("/api/v1/requests/{request}/plan/bytes");
    let bytes = world.call("GET", &path).send().await.body;
    assert_eq!(
        waits["plan"]["digest"],
        Digest::of_bytes(&bytes).to_string()
    );
    let (status, said) = world.approve(&request).await;
    assert_eq!(status, 200, "{said}");
    world.until(&request, &["completed"]).await;
}
