//! What other programs ask over the bus (DESIGN section 6): events in the queue `orchestrator.requests`, which pass the
//! same judgement as those of every other way in, and are acknowledged once the answer is stored (R4).
//!
//! The same event again gives the same answer, so what comes twice is one request. What is no event goes to the dead
//! letters, with a record of why. Whoever gives a queue for answers is told there what was refused.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use chiffon_bus::{Delivery, Message, QueueName, Reject};
use chiffon_common::{
    AuditEntry, Envelope, EnvelopeError, ErrorCode, ErrorMessage, Event, FieldError, MessageId,
    MessageType, Payload, Principal, Problem, ReasonCode, ResponsePlan, Subject, TraceId, Unshaped,
    path_pointer, shape, visible,
};
use chiffon_store::{Commit, Error, InboxKey};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::{Incoming, IntakeError, Shared, Way};

/// Events in hand at once: one whose authoriser is slow holds up nobody else.
const AT_ONCE: NonZeroU32 = NonZeroU32::new(64).expect("not zero");
/// Wait before the store, the authoriser or the bus is tried again.
const AGAIN: Duration = Duration::from_millis(250);
/// How the names of queues begin that answers may be sent to: no queue of the fleet has such a name.
const REPLIES: &str = "replies.";
/// How the names of agents begin, before a dot where more follows (docs/protocol.md).
const AGENTS: [&str; 2] = ["infrastructure", "desktop"];
/// Longest name of such a queue, and of a sender, as far as it is recorded.
const NAME: usize = 128;

/// An event that was read from a message.
struct Asked {
    event: Event,
    trace: TraceId,
}

impl Shared {
    /// Hears what is asked over the bus for ever.
    pub(crate) async fn hear_requests(self: Arc<Self>) {
        let queue = QueueName::requests();
        let mut in_hand = JoinSet::new();
        loop {
            match self.bus.subscribe(&queue, AT_ONCE).await {
                Ok(mut subscription) => {
                    // No more come than the bus gives out unacknowledged.
                    while let Some(delivery) = subscription.next().await {
                        let shared = Arc::clone(&self);
                        in_hand.spawn(async move { shared.hear_request(delivery).await });
                        while in_hand.try_join_next().is_some() {}
                    }
                    tracing::warn!("subscription to requests has ended; subscribing again");
                }
                Err(error) => tracing::warn!(%error, "requests cannot be heard; trying again"),
            }
            self.declare_topology().await;
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn hear_request(&self, delivery: Box<dyn Delivery>) {
        let message = delivery.message();
        let envelope = Envelope::from_bytes(&message.body);
        let reply = envelope.as_ref().ok().and_then(Reply::of);
        let asked = envelope
            .map_err(|error| unread(&error))
            .and_then(|envelope| self.event_of(&envelope, message));
        let answered = match asked {
            Ok(asked) => self.judge(asked).await,
            Err(problem) => Err(problem),
        };
        match answered {
            Ok(refused) => {
                if let Some((plan, problem)) = refused {
                    let details = json!({ "reason_code": plan.reason_code, "event_id": plan.event_id, "plan_id": plan.plan_id });
                    self.tell_asker(reply, message, &problem, details).await;
                }
                delivery.ack().await;
            }
            Err(problem) => {
                tracing::warn!(%problem.code, why = visible(&problem.detail), message.id = %message.message_id, "request goes to the dead letters");
                self.note_refused(message, &problem).await;
                self.tell_asker(reply, message, &problem, json!({})).await;
                delivery.reject(Reject::DeadLetter).await;
            }
        }
    }

    /// The event of a message, if whoever sent it may send one.
    fn event_of(&self, envelope: &Envelope, message: &Message) -> Result<Asked, Problem> {
        let todo = "send an event in a message of the type `request`";
        let payload = envelope.open().map_err(|error| misread(envelope, &error))?;
        let Payload::Request(event) = payload else {
            let detail = "only messages of the type `request` are taken here";
            return Err(Problem::new(ErrorCode::MalformedMessage, detail, todo));
        };
        if envelope.extra.contains_key("reply_to") && Reply::of(envelope).is_none() {
            let detail = "reply_to is no queue for answers";
            let todo = "name one that begins with `replies.`, or leave it out";
            return Err(Problem::new(ErrorCode::MalformedMessage, detail, todo));
        }
        let forbidden = |detail: String, todo| Problem::new(ErrorCode::Forbidden, detail, todo);
        if event.tenant_id != self.settings.tenant {
            let detail = format!("tenant {} is not served here", event.tenant_id);
            return Err(forbidden(detail, "send the tenant_id `default`"));
        }
        // Nobody speaks for another (S39), and an agent for no person. One that was not heard of yet is known by its name.
        let sender = message.sender.as_str();
        let is_agent = AGENTS.iter().any(|kind| {
            let rest = sender.strip_prefix(kind);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        }) || self
            .registry
            .all()
            .keys()
            .any(|agent| agent.as_str() == sender);
        if is_agent && event.actor.kind != "agent" {
            let detail = "an agent asks in the name of another".to_owned();
            return Err(forbidden(detail, "send the actor as one of kind `agent`"));
        }
        Ok(Asked {
            event: *event,
            trace: envelope.trace_id,
        })
    }

    /// Has an event judged, however long the store or the authoriser takes; what it was refused for, where it was.
    async fn judge(&self, asked: Asked) -> Result<Option<(ResponsePlan, Problem)>, Problem> {
        loop {
            let incoming = Incoming {
                event: asked.event.clone(),
                trace: asked.trace,
                claim: None,
                way: Way::Bus,
                schedule: None,
            };
            match self.intake(incoming).await {
                Ok(taken) => {
                    let refusal = refusal(taken.plan.reason_code);
                    return Ok(refusal.map(|problem| (taken.plan, problem)));
                }
                Err(IntakeError::Malformed(error)) => {
                    return Err(Problem::new(error.code(), error.to_string(), error.todo()));
                }
                Err(error @ IntakeError::Reserved { .. }) => {
                    let todo = "send another one";
                    return Err(Problem::new(
                        ErrorCode::MalformedMessage,
                        error.to_string(),
                        todo,
                    ));
                }
                Err(IntakeError::Conflict) => {
                    let detail = "another event was taken under this event_id";
                    let todo = "give each event an id of its own";
                    return Err(Problem::new(ErrorCode::IdReused, detail, todo));
                }
                Err(error @ (IntakeError::Store(_) | IntakeError::Crowded(_))) => {
                    tracing::warn!(%error, event.id = %asked.event.event_id, "request cannot be judged yet; trying again");
                    tokio::time::sleep(AGAIN).await;
                }
                // Time heals none of the others.
                Err(error) => {
                    let todo = "look at the log of the orchestrator";
                    return Err(Problem::new(ErrorCode::Internal, error.to_string(), todo));
                }
            }
        }
    }

    /// Records why a message was laid aside: once, however often it comes.
    async fn note_refused(&self, message: &Message, problem: &Problem) {
        let target = Subject {
            kind: "message".to_owned(),
            id: message.message_id.to_string(),
        };
        let sender = visible(&message.sender);
        let actor = Principal {
            id: format!("bus:{}", sender.chars().take(NAME).collect::<String>()),
            kind: "service".to_owned(),
        };
        let why = visible(&problem.detail);
        let data = json!({
            "queue": QueueName::requests().as_str(),
            "code": problem.code,
            "because": why.chars().take(1_000).collect::<String>(),
        });
        let entry = self.audit_of_fleet("message.refused", target, "dead_letter", Vec::new(), data);
        let commit = Commit {
            tenant_id: self.settings.tenant.clone(),
            inbox: Some(InboxKey {
                consumer: QueueName::requests().to_string(),
                message_id: message.message_id,
                handled_at: self.clock.now(),
            }),
            audit: vec![AuditEntry {
                actor,
                result: "refused".to_owned(),
                ..entry
            }],
            ..Commit::default()
        };
        while let Err(error) = self.commit(commit.clone()).await {
            if matches!(error, Error::AlreadyHandled) {
                return;
            }
            tracing::warn!(%error, "refused request cannot be recorded yet; trying again");
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Tells who asked, where he said where. One that has no queue any more is not waited for.
    async fn tell_asker(
        &self,
        reply: Option<Reply>,
        about: &Message,
        problem: &Problem,
        details: Value,
    ) {
        let Some(Reply { queue, trace }) = reply else {
            return;
        };
        let mut more = Map::from_iter([("message_id".to_owned(), json!(about.message_id))]);
        if let Value::Object(details) = details {
            more.extend(details);
        }
        if !problem.errors.is_empty() {
            more.insert("errors".to_owned(), json!(problem.errors));
        }
        let error = Payload::Error(ErrorMessage {
            code: problem.code.number(),
            message: format!("{}; {}", visible(&problem.detail), problem.todo),
            details: more,
        });
        let id = MessageId::from_uuid(self.clock.fresh_id());
        let envelope = Envelope::new(&error, id, trace, None, self.clock.now())
            .and_then(|envelope| envelope.signed(&self.signer))
            .and_then(|envelope| envelope.to_bytes());
        let body = match envelope {
            Ok(body) => body.into(),
            Err(error) => return tracing::error!(%error, "answer cannot be written"),
        };
        let message = Message {
            message_id: id,
            sender: format!("orchestrator:{}", self.settings.replica),
            body,
        };
        if let Err(error) = self.bus.publish(&queue, message).await {
            tracing::warn!(%error, queue = %queue, "asker was not told; the same event again is answered again");
        }
    }
}

/// Where answers are to go.
struct Reply {
    queue: QueueName,
    trace: TraceId,
}

impl Reply {
    fn of(envelope: &Envelope) -> Option<Self> {
        let name = envelope.extra.get("reply_to")?.as_str()?;
        let is_permitted = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let rest = name.strip_prefix(REPLIES)?;
        let is_fit = !rest.is_empty() && name.len() <= NAME && rest.chars().all(is_permitted);
        is_fit.then(|| Self {
            queue: QueueName::stored(name),
            trace: envelope.trace_id,
        })
    }
}

fn unread(error: &EnvelopeError) -> Problem {
    let code = match error {
        EnvelopeError::TooLarge { .. } => ErrorCode::TooLarge,
        EnvelopeError::Version(_) => ErrorCode::UnknownVersion,
        _ => ErrorCode::MalformedMessage,
    };
    let detail = match error {
        EnvelopeError::Type(_) => "it is of a message type that is not understood".to_owned(),
        error => error.to_string(),
    };
    let todo = "correct it and send it under another message_id";
    Problem::new(code, detail, todo)
}

/// The same with the place in the event. What stands there is told to who asked, and kept in no record (S70).
fn misread(envelope: &Envelope, error: &EnvelopeError) -> Problem {
    if envelope.message_type != MessageType::Request {
        return unread(error);
    }
    let read = serde_path_to_error::deserialize::<_, Event>(envelope.payload.clone());
    let (pointer, why) = match read {
        Err(misfit) => (path_pointer(misfit.path()), misfit.into_inner()),
        Ok(event) => match shape(&envelope.payload.to_string(), &event) {
            Err(Unshaped { pointer, why }) => (pointer, why),
            Ok(()) => return unread(error),
        },
    };
    let detail = format!("the payload does not fit an event at {pointer:?}");
    let todo = "correct it and send it under another message_id";
    let field = FieldError::body(pointer, visible(&why.to_string()));
    Problem::new(ErrorCode::MalformedMessage, detail, todo).at(field)
}

/// What an answer by which nothing is done is told as; nothing where it is what the rules want of such an event.
fn refusal(reason: ReasonCode) -> Option<Problem> {
    let (code, detail) = match reason {
        ReasonCode::Unauthorized => (
            ErrorCode::Forbidden,
            "no role of the control plane permits it to this actor",
        ),
        ReasonCode::AuthzDenied => (ErrorCode::Forbidden, "the external authoriser denies it"),
        ReasonCode::AuthzUnavailable | ReasonCode::AuthzUnreadable => (
            ErrorCode::AuthorizerSilent,
            "the external authoriser gives no decision",
        ),
        ReasonCode::GeneratingLock
        | ReasonCode::Cooldown
        | ReasonCode::Backpressure
        | ReasonCode::RateLimited => (
            ErrorCode::TooManyRequests,
            "more is asked than control.* lets through",
        ),
        ReasonCode::NothingAsked => (ErrorCode::Forbidden, "nothing is answered over the bus"),
        _ => return None,
    };
    let todo = "ask under another event_id once it may be; this one stays answered so";
    Some(Problem::new(code, detail, todo))
}
