//! Projects: made once, changed from their version, listed by their ids.

use std::sync::Arc;

use super::make::{assert_conflict, assert_malformed, at, commit, done, name, project_row, stored};
use crate::{Commit, Expected, ProjectRow, Store, Write};

pub(super) async fn a_project_is_made_once_and_changes_from_its_version(store: Arc<dyn Store>) {
    let (tenant, lab) = (name("default"), name("lab"));
    assert_eq!(done(store.project(&tenant, &lab).await), None);
    let mut row = project_row("lab");
    stored(&*store, [Write::Project(Expected::Absent, row.clone())]).await;
    assert_eq!(done(store.project(&tenant, &lab).await), Some(row.clone()));
    let again = Write::Project(Expected::Absent, row.clone());
    assert_conflict(store.commit(commit([again])).await);
    (row.title, row.description) = ("The lab".to_owned(), "Where things break".to_owned());
    row.updated_at = at(7);
    // It came into being once, whatever is said later.
    let later = ProjectRow {
        created_at: at(5),
        ..row.clone()
    };
    stored(
        &*store,
        [Write::Project(Expected::Version(1), later.clone())],
    )
    .await;
    row.version = 2;
    assert_eq!(done(store.project(&tenant, &lab).await), Some(row.clone()));
    let stale = Write::Project(Expected::Version(1), later);
    assert_conflict(store.commit(commit([stale])).await);
    row.tenant_id = name("other");
    let theirs = Write::Project(Expected::Version(2), row.clone());
    assert_malformed(store.commit(commit([theirs.clone()])).await);
    let of_others = Commit {
        tenant_id: name("other"),
        ..commit([theirs])
    };
    assert_conflict(store.commit(of_others).await);
    assert_eq!(done(store.project(&name("other"), &lab).await), None);
}

pub(super) async fn a_list_of_projects_misses_and_repeats_nothing(store: Arc<dyn Store>) {
    let mut rows: Vec<_> = (0..11)
        .map(|number| project_row(&format!("p{:02}", number * 7 % 11)))
        .collect();
    let writes = rows
        .iter()
        .map(|row| Write::Project(Expected::Absent, row.clone()));
    stored(&*store, writes).await;
    rows.sort_by(|a, b| a.project_id.as_str().cmp(b.project_id.as_str()));
    let theirs = ProjectRow {
        tenant_id: name("other"),
        ..project_row("p055")
    };
    let of_others = Commit {
        tenant_id: name("other"),
        ..commit([Write::Project(Expected::Absent, theirs.clone())])
    };
    done(store.commit(of_others).await);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = done(store.projects(&name("default"), after, 4).await);
        assert!(page.len() <= 4);
        let Some(last) = page.last() else { break };
        after = Some(last.project_id.clone());
        // What comes in before the place where one is, is not seen any more.
        let early = project_row(&format!("a{}", found.len()));
        found.extend(page);
        stored(&*store, [Write::Project(Expected::Absent, early)]).await;
    }
    assert_eq!(found, rows);
    assert_eq!(
        done(store.projects(&name("other"), None, 4).await),
        [theirs]
    );
}
