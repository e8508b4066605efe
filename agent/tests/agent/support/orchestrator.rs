//! The other side of the bus: seals and sends work, and keeps what comes back.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use chiffon_bus::{Bus, MemoryBus, Message, QueueName, agent_queue, topology};
use chiffon_common::{
    AgentId, AgentKind, AttemptRef, Bundle, BundleFile, BundlePiece, Digest, Envelope, Heartbeat,
    Incarnation, MessageId, Mode, Parameters, Payload, ResourcesRequired, SealClaims, Signer,
    StatusKind, TaskId, TraceId, TrustedKeys, WorkCancel, WorkQuery, WorkRequest, WorkResult,
    WorkStatus,
};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use uuid::Uuid;

use super::PATIENCE;

/// Everything that came back.
#[derive(Debug, Default)]
pub struct Heard {
    pub statuses: Vec<WorkStatus>,
    pub results: Vec<(MessageId, WorkResult)>,
    pub errors: Vec<u16>,
    pub heartbeats: Vec<Heartbeat>,
}

pub struct Orchestrator {
    pub bus: Arc<dyn Bus>,
    pub memory: Arc<MemoryBus>,
    pub agent: AgentId,
    pub signer: Signer,
    pub bundle: Bundle,
    incarnation: Mutex<Incarnation>,
    heard: watch::Sender<Heard>,
}

/// A new task's first attempt, not sealed yet.
pub fn work(bundle: &Bundle) -> WorkRequest {
    let attempt = AttemptRef {
        task_id: TaskId::from_uuid(Uuid::now_v7()),
        attempt: 1,
    };
    let not_after = Timestamp::now() + SignedDuration::from_secs(600);
    let nobody = Incarnation::from_uuid(Uuid::nil());
    let claims = SealClaims {
        v: 1,
        plan: Digest::of_bytes(b"plan"),
        action: "service_restart".parse().unwrap(),
        bundle: bundle.digest(),
        parameters: Parameters::new(),
        hosts: vec!["nas".parse().unwrap()],
        mode: Mode::Apply,
        timeout_seconds: 60,
        task_id: attempt.task_id,
        attempt: 1,
        agent: "infrastructure".parse().unwrap(),
        incarnation: nobody,
        issued_at: Timestamp::now(),
        not_after,
        decision: None,
        approver: None,
    };
    WorkRequest {
        agent_type: AgentKind::Infrastructure,
        attempt,
        action: claims.action.clone(),
        parameters: claims.parameters.clone(),
        resources_required: ResourcesRequired::default(),
        mode: claims.mode,
        hosts: claims.hosts.clone(),
        bundle: claims.bundle,
        timeout_seconds: claims.timeout_seconds,
        not_after,
        secret_parameters: Vec::new(),
        seal: Signer::from_secret([0; 32]).seal(claims).unwrap(),
    }
}

impl Orchestrator {
    /// On a memory bus with all queues, listening.
    pub async fn new() -> Arc<Self> {
        let memory = Arc::new(MemoryBus::new());
        let mut bundle = Bundle::default();
        let file = BundleFile {
            executable: false,
            content: b"- hosts: all".to_vec(),
        };
        bundle.insert("site.yml", file).unwrap();
        let this = Arc::new(Self {
            bus: Arc::clone(&memory) as Arc<dyn Bus>,
            memory,
            agent: "infrastructure".parse().unwrap(),
            signer: Signer::from_secret([7; 32]),
            bundle,
            incarnation: Mutex::new(Incarnation::from_uuid(Uuid::nil())),
            heard: watch::channel(Heard::default()).0,
        });
        this.declare().await;
        for queue in [QueueName::results(), QueueName::heartbeats()] {
            tokio::spawn(Arc::clone(&this).listen(queue));
        }
        this
    }

    pub async fn declare(&self) {
        for spec in topology().into_iter().chain([agent_queue(&self.agent)]) {
            self.bus.declare(spec).await.unwrap();
        }
    }

    pub fn trusted(&self) -> TrustedKeys {
        let mut keys = TrustedKeys::default();
        keys.trust(self.signer.public());
        keys
    }

    pub fn learn_incarnation(&self, incarnation: Incarnation) {
        *self.incarnation.lock().unwrap() = incarnation;
    }

    async fn listen(self: Arc<Self>, queue: QueueName) {
        loop {
            if let Ok(mut subscription) = self
                .bus
                .subscribe(&queue, NonZeroU32::new(16).unwrap())
                .await
            {
                while let Some(delivery) = subscription.next().await {
                    let envelope = Envelope::from_bytes(&delivery.message().body).unwrap();
                    let payload = envelope.open().unwrap();
                    self.heard.send_modify(|heard| match payload {
                        Payload::WorkStatus(status) => heard.statuses.push(status),
                        Payload::WorkResult(result) => {
                            heard.results.push((envelope.message_id, *result))
                        }
                        Payload::Heartbeat(heartbeat) => heard.heartbeats.push(*heartbeat),
                        Payload::Error(error) => heard.errors.push(error.code),
                        other => panic!("an agent never sends {other:?}"),
                    });
                    delivery.ack().await;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Seals a request as it stands now.
    pub fn sealed(&self, mut request: WorkRequest) -> WorkRequest {
        let claims = SealClaims {
            task_id: request.attempt.task_id,
            attempt: request.attempt.attempt,
            incarnation: *self.incarnation.lock().unwrap(),
            bundle: request.bundle,
            timeout_seconds: request.timeout_seconds,
            not_after: request.not_after,
            mode: request.mode,
            ..request.seal.claims.clone()
        };
        request.seal = self.signer.seal(claims).unwrap();
        request
    }

    /// Seals and sends a new task; its attempt.
    pub async fn ask(&self, change: impl FnOnce(&mut WorkRequest)) -> AttemptRef {
        let mut request = work(&self.bundle);
        change(&mut request);
        let request = self.sealed(request);
        let attempt = request.attempt;
        self.send(Payload::WorkRequest(Box::new(request))).await;
        attempt
    }

    pub async fn send(&self, payload: Payload) {
        let message = self.message(&payload, &self.signer);
        self.put(message).await;
    }

    /// A signed message.
    pub fn message(&self, payload: &Payload, signer: &Signer) -> Message {
        let id = MessageId::from_uuid(Uuid::now_v7());
        let trace = TraceId::from_uuid(Uuid::now_v7());
        let envelope = Envelope::new(payload, id, trace, None, Timestamp::now()).unwrap();
        let body = envelope.signed(signer).unwrap().to_bytes().unwrap().into();
        Message {
            message_id: id,
            sender: "chiffon".to_owned(),
            body,
        }
    }

    /// How many messages lie among the agent's dead letters.
    pub async fn dead_letters(&self) -> u64 {
        let queue = QueueName::agent(&self.agent).dead_letters();
        self.bus.depth(&queue).await.unwrap_or_default()
    }

    /// Puts a message into the agent's queue, until the bus confirms it.
    pub async fn put(&self, message: Message) {
        let queue = QueueName::agent(&self.agent);
        while self.bus.publish(&queue, message.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn cancel(&self, attempt: AttemptRef) {
        self.send(Payload::WorkCancel(WorkCancel {
            attempt,
            agent: self.agent.clone(),
            not_after: Timestamp::now() + SignedDuration::from_secs(600),
            reason: "a test".to_owned(),
        }))
        .await;
    }

    pub async fn query(&self, attempt: AttemptRef) {
        let agent = self.agent.clone();
        self.send(Payload::WorkQuery(WorkQuery { attempt, agent }))
            .await;
    }

    /// Sends bytes as the bundle, in pieces.
    pub async fn send_bundle(&self, digest: Digest, bytes: &[u8]) {
        let chunks: Vec<&[u8]> = bytes.chunks(bytes.len().div_ceil(3)).collect();
        let pieces = chunks.len() as u32;
        for (piece, chunk) in (0..).zip(chunks) {
            let data = BASE64_STANDARD.encode(chunk);
            let agent = self.agent.clone();
            self.send(Payload::Bundle(BundlePiece {
                agent,
                digest,
                piece,
                pieces,
                data,
            }))
            .await;
        }
    }

    pub async fn send_own_bundle(&self) {
        self.send_bundle(self.bundle.digest(), &self.bundle.to_bytes().unwrap())
            .await;
    }

    /// Waits until what was heard is as wished; then what `pick` makes of it.
    pub async fn hear<T>(&self, what: &str, pick: impl Fn(&Heard) -> Option<T>) -> T {
        let mut heard = self.heard.subscribe();
        let found = heard.wait_for(|heard| pick(heard).is_some());
        let found = tokio::time::timeout(PATIENCE, found).await;
        let found = match found {
            Ok(found) => pick(&found.unwrap()),
            Err(_) => panic!("waited in vain for {what}; heard {:?}", self.heard.borrow()),
        };
        found.expect("it was there a moment ago")
    }

    pub async fn status(&self, attempt: AttemptRef, status: StatusKind) -> WorkStatus {
        let of = |one: &&WorkStatus| one.attempt == attempt && one.status == status;
        self.hear("a status", |heard| heard.statuses.iter().find(of).cloned())
            .await
    }

    pub async fn result(&self, attempt: AttemptRef) -> WorkResult {
        self.results(attempt, 1).await.remove(0)
    }

    /// Waits for this many deliveries of an attempt's result, which all say the same.
    pub async fn results(&self, attempt: AttemptRef, count: usize) -> Vec<WorkResult> {
        let found = self
            .hear("results", |heard| {
                let of: Vec<_> = heard
                    .results
                    .iter()
                    .filter(|(_, result)| result.attempt == attempt)
                    .cloned()
                    .collect();
                (of.len() >= count).then_some(of)
            })
            .await;
        let (ids, results): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        assert!(
            ids.windows(2).all(|pair| pair[0] == pair[1]),
            "one result, one message"
        );
        assert!(
            results.windows(2).all(|pair| pair[0] == pair[1]),
            "one attempt, one result: {results:?}"
        );
        results
    }

    /// What was heard so far.
    pub fn so_far<T>(&self, look: impl FnOnce(&Heard) -> T) -> T {
        look(&self.heard.borrow())
    }
}
