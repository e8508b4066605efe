//! The line in generated worlds: never two changes on a machine, order kept, nobody starves, nobody is held
//! up by what is none of its business; and the corners by hand.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const HOSTS: usize = 4;

fn task(n: usize) -> TaskId {
    TaskId::from_uuid(Uuid::from_u128(n as u128 + 1))
}

fn request(n: usize) -> RequestId {
    RequestId::from_uuid(Uuid::from_u128(n as u128 + 1))
}

fn agent(n: usize) -> AgentId {
    format!("infrastructure.a{n}").parse().unwrap()
}

fn project(n: usize) -> ProjectId {
    format!("p{n}").parse().unwrap()
}

fn waiting(n: usize, hosts: &[usize], of: usize) -> Waiting {
    let claim = |host: &usize| Claim {
        lease: format!("host:h{host}"),
        host: format!("h{host}"),
    };
    Waiting {
        task: task(n),
        request: request(n),
        project: project(of),
        claims: hosts.iter().map(claim).collect(),
    }
}

/// A run in a generated world.
#[derive(Debug, Clone)]
struct Job {
    hosts: Vec<usize>,
    project: usize,
    /// Rounds that it runs.
    lasts: usize,
    /// The round in which it comes.
    comes: usize,
    /// Its agent falls silent, and it takes a person as many rounds more.
    lost: bool,
}

fn job() -> impl Strategy<Value = Job> {
    let hosts = prop::collection::btree_set(0..HOSTS, 0..=3);
    (
        hosts,
        0..2_usize,
        1..4_usize,
        0..12_usize,
        prop::bool::weighted(0.1),
    )
        .prop_map(|(hosts, project, lasts, comes, lost)| Job {
            hosts: hosts.into_iter().collect(),
            project,
            lasts,
            comes,
            lost,
        })
}

/// What runs: job, round of its end.
type Running = Vec<(usize, usize)>;

fn line(jobs: &[Job], running: &Running, slots: u32, limit: Option<NonZeroU32>) -> Line {
    let lost = |n: &usize| jobs[*n].lost;
    let taken = running.iter().filter(|(n, _)| !lost(n)).count();
    let free = slots.saturating_sub(u32::try_from(taken).unwrap());
    let mut line = Line::new(BTreeMap::from([(agent(0), free)]), limit);
    for (n, _) in running {
        let unknown = lost(n);
        let (task, leases) = (
            task(*n),
            jobs[*n].hosts.iter().map(|h| format!("host:h{h}")),
        );
        line.holds(leases, Holder { task, unknown });
        if !unknown {
            line.at_work(&project(jobs[*n].project));
        }
    }
    line
}

fn share(a: &Job, b: &Job) -> bool {
    a.hosts.iter().any(|host| b.hosts.contains(host))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_and_ends_in_whatever_order(jobs in prop::collection::vec(job(), 1..24), slots in 1..4_u32, limit in 0..3_u32) {
        let limit = NonZeroU32::new(limit);
        let mut order: Vec<usize> = (0..jobs.len()).collect();
        order.sort_by_key(|n| (jobs[*n].comes, *n));
        let mut running: Running = Vec::new();
        let mut left = order.clone();
        let most: usize = jobs.iter().map(|job| 3 * job.lasts + 2).sum::<usize>() + 12;
        for round in 0.. {
            prop_assert!(round <= most, "{left:?} starve");
            running.retain(|(_, end)| *end > round);
            let here: Vec<usize> = left.iter().copied().filter(|n| jobs[*n].comes <= round).collect();
            if left.is_empty() {
                break;
            }
            let mut line = line(&jobs, &running, slots, limit);
            let mut still: Vec<usize> = Vec::new();
            let before = running.clone();
            for n in here {
                let job = &jobs[n];
                let turn = line.next(&waiting(n, &job.hosts, job.project));
                match turn {
                    Turn::Go(_) => {
                        for (other, _) in &running {
                            prop_assert!(!share(job, &jobs[*other]), "{n} meets {other}");
                        }
                        for other in &still {
                            let stuck = before.iter().any(|(held, _)| jobs[*held].lost && share(&jobs[*held], &jobs[*other]));
                            prop_assert!(stuck || !share(job, &jobs[*other]), "{n} overtakes {other}");
                        }
                        let lasts = if job.lost { 2 * job.lasts } else { job.lasts };
                        running.push((n, round + lasts));
                        left.retain(|other| *other != n);
                    }
                    Turn::Host { claim, ahead, .. } => {
                        let has = |m: &usize| jobs[*m].hosts.iter().any(|h| format!("h{h}") == claim.host);
                        let in_the_way = match ahead {
                            Ahead::Holds(by) => running.iter().any(|(m, _)| task(*m) == by && has(m)),
                            Ahead::Came(by) => still.iter().any(|m| request(*m) == by && has(m)),
                        };
                        prop_assert!(in_the_way && has(&n), "{n} waits for nobody: {claim:?} {ahead:?}");
                        still.push(n);
                    }
                    Turn::Project(_) => {
                        prop_assert!(limit.is_some());
                        still.push(n);
                    }
                    Turn::Agent => {
                        prop_assert!(line.is_full());
                        still.push(n);
                    }
                }
            }
            if running.is_empty() {
                prop_assert!(still.is_empty(), "nobody runs, and nobody is let in");
            }
        }
    }
}

#[test]
fn who_came_first_goes_first_and_several_hosts_do_not_starve() {
    let slots = BTreeMap::from([(agent(0), 9)]);
    let mut line = Line::new(slots.clone(), None);
    let by = Holder {
        task: task(90),
        unknown: false,
    };
    line.holds(["host:h0".to_owned()], by);
    let wide = line.next(&waiting(1, &[0, 1], 0));
    let Turn::Host {
        claim,
        ahead,
        before,
    } = wide
    else {
        panic!("{wide:?}")
    };
    assert_eq!(
        (claim.host.as_str(), ahead, before),
        ("h0", Ahead::Holds(task(90)), 0)
    );
    // Nobody has h1, but it is spoken for; h2 is nobody's business; reading stands in no line.
    let turn = line.next(&waiting(2, &[1], 0));
    assert!(
        matches!(turn, Turn::Host { ahead: Ahead::Came(by), before: 1, .. } if by == request(1)),
        "{turn:?}"
    );
    let turn = line.next(&waiting(3, &[0], 0));
    assert!(
        matches!(
            turn,
            Turn::Host {
                ahead: Ahead::Holds(_),
                before: 1,
                ..
            }
        ),
        "{turn:?}"
    );
    assert_eq!(line.next(&waiting(4, &[2], 0)), Turn::Go(agent(0)));
    assert_eq!(line.next(&waiting(5, &[], 0)), Turn::Go(agent(0)));
    // The same line anew, as after a restart, once h0 is free: the same order.
    let mut line = Line::new(slots, None);
    assert_eq!(line.next(&waiting(1, &[0, 1], 0)), Turn::Go(agent(0)));
    assert!(matches!(line.next(&waiting(2, &[1], 0)), Turn::Host { .. }));
}

#[test]
fn a_host_that_waits_for_a_person_holds_up_no_other_host() {
    let mut line = Line::new(BTreeMap::from([(agent(0), 9)]), None);
    let by = Holder {
        task: task(90),
        unknown: true,
    };
    line.holds(["host:h0".to_owned()], by);
    assert!(matches!(
        line.next(&waiting(1, &[0, 1], 0)),
        Turn::Host { .. }
    ));
    assert_eq!(line.next(&waiting(2, &[1], 0)), Turn::Go(agent(0)));
    let turn = line.next(&waiting(3, &[0], 0));
    assert!(matches!(turn, Turn::Host { before: 1, .. }), "{turn:?}");
}

#[test]
fn limits_bind_a_project_and_an_agent_and_nobody_else() {
    let slots = BTreeMap::from([(agent(0), 1), (agent(1), 2)]);
    let mut line = Line::new(slots, NonZeroU32::new(1));
    assert_eq!(line.next(&waiting(1, &[0], 0)), Turn::Go(agent(1)));
    assert_eq!(
        line.next(&waiting(2, &[1], 0)),
        Turn::Project(NonZeroU32::MIN)
    );
    assert!(matches!(line.next(&waiting(3, &[2], 1)), Turn::Go(_)));
    assert!(matches!(line.next(&waiting(4, &[3], 2)), Turn::Go(_)));
    assert!(line.is_full());
    assert_eq!(line.next(&waiting(5, &[], 3)), Turn::Agent);
}
