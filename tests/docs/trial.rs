//! That a page which does not hold what it says is found, with the line to look at: a harness that finds nothing
//! would look like one that has nothing to find.

use std::path::Path;

use crate::{directive::directives, markdown::Page, session, stage::Stage};

fn run(text: &str) -> Result<(), String> {
    let page = Page::read(Path::new("trial.md"), text);
    let all = directives(&page)?;
    let stage = Stage::set("a trial", &all).expect("nothing special is needed");
    session::run(&page, &stage, &all)
}

#[track_caller]
fn fails(text: &str, at: &str, why: &str) {
    let said = run(text).expect_err(text);
    assert!(said.starts_with(at) && said.contains(why), "{said}");
}

#[test]
fn a_command_that_fails_is_named_by_its_line() {
    fails(
        "# A\n\n```sh\ntrue\nfalse\n```\n",
        "trial.md:5",
        "exit status 1: false",
    );
    fails("```sh\nfalse | true\n```\n", "trial.md:2", "exit status 1");
    fails(
        "```sh\necho \"$nothing\"\n```\n",
        "trial.md:1",
        "nothing: unbound variable",
    );
    fails("```sh\nchiffon walk\n```\n", "trial.md:2", "exit status 2");
}

#[test]
fn a_block_that_does_not_run_to_its_end_is_named() {
    fails(
        "```sh\nexit 0\n```\n",
        "trial.md:1",
        "did not run to its end",
    );
    let open = "```sh\ncat <<END\n```\n\n```sh\ntrue\n```\n";
    fails(open, "trial.md:1", "here-document");
    fails(
        "```sh\ncargo fmt\n```\n",
        "trial.md:2",
        "has to be said first",
    );
    fails("<!-- test: skip -->\n", "trial.md:1", "no directive");
}

#[test]
fn what_one_block_sets_the_next_one_has() {
    let page =
        "```sh\ncd /\nx=$(pwd)\n```\n\n- and\n\n  ```sh\n  test \"$x\" = /\n  sleep 60 &\n  ```\n";
    run(page).expect("both run, and what still runs is ended");
}
