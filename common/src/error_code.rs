//! The error codes that people and programs see (document 004: 5001 to 5999), one page each under docs/errors.
//!
//! Adding a code: 1. a line in the table below, within its range, 2. its page `docs/errors/<number>.md`
//! (it is embedded, and a test holds the two against each other). A number is never used again for something else.

use serde::{Deserialize, Serialize};

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Retry {
    /// The same again may succeed: the cause passes by itself.
    MayHelp,
    /// Only after something was changed.
    AfterChange,
    /// Never.
    Never,
}

macro_rules! codes {
    ($($name:ident = $number:literal, $status:literal, $retry:ident, $title:literal;)+) => {
        /// A stable error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $(#[doc = $title] $name,)+
        }

        impl ErrorCode {
            /// Every code, in the order of the numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The number, 5001 to 5999.
            pub const fn number(self) -> u16 {
                match self { $(Self::$name => $number,)+ }
            }

            /// The HTTP status it is answered with.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// Whether trying again can help.
            pub const fn retry(self) -> Retry {
                match self { $(Self::$name => Retry::$retry,)+ }
            }

            /// One line for people.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// Its page: what happened, why, what to do (Markdown).
            pub const fn page(self) -> &'static str {
                match self {
                    $(Self::$name => {
                        include_str!(concat!("../../docs/errors/", stringify!($number), ".md"))
                    })+
                }
            }

            /// The code of a number.
            pub fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

codes! {
    // 50xx protocol
    MalformedMessage = 5001, 400, Never, "the message or body has no permitted form";
    UnknownVersion = 5002, 400, AfterChange, "the message has a version that this program does not understand";
    TooLarge = 5003, 413, AfterChange, "the message or body is too large";
    NotFound = 5004, 404, Never, "there is nothing of this name or id";
    MethodNotAllowed = 5005, 405, Never, "this address does not take this method";
    UnsupportedMediaType = 5006, 415, AfterChange, "the body must be application/json";
    EmptyRequest = 5007, 422, AfterChange, "the request is empty";
    BinaryRequest = 5008, 422, AfterChange, "the request holds characters that are no text";
    RequestTooLong = 5009, 422, AfterChange, "the request is too long";
    IdempotencyMismatch = 5010, 422, AfterChange, "this idempotency key was used for another request";
    IdempotencyInFlight = 5011, 409, MayHelp, "the first request with this idempotency key is still being handled";
    PreconditionFailed = 5012, 412, AfterChange, "it is not in the state that the change was made from";
    PreconditionRequired = 5013, 428, AfterChange, "the header If-Match is required here";
    TooManyRequests = 5014, 429, MayHelp, "too many requests in too short a time";
    RequestTimeout = 5015, 408, MayHelp, "the body took too long to arrive";
    IdReused = 5020, 409, Never, "this id was used for something else";
    UnknownPlan = 5021, 404, Never, "there is no plan of this id";
    NotGenerating = 5022, 409, Never, "this plan asked for no generation";
    GenerationLate = 5023, 409, Never, "the result of the generation comes too late";
    UnknownAction = 5024, 404, Never, "the plan has no action of this id that could be carried out";
    AuditUnwritable = 5030, 503, MayHelp, "the audit record cannot be written, so nothing is answered";
    // 51xx planning and providers
    NothingMatches = 5101, 422, AfterChange, "no catalogue entry fits the request";
    UnknownHost = 5102, 422, AfterChange, "the host is not in the inventory";
    UnknownEntry = 5103, 404, AfterChange, "the catalogue has no such entry";
    ParameterMissing = 5104, 422, AfterChange, "a required parameter is missing";
    ParameterInvalid = 5105, 422, AfterChange, "a parameter does not fit its declaration";
    ParameterUndeclared = 5106, 422, AfterChange, "the entry does not declare this parameter";
    ParameterForbidden = 5107, 422, Never, "a parameter of this name is never passed on";
    CatalogueBroken = 5108, 422, AfterChange, "a catalogue file has errors";
    InventoryBroken = 5109, 422, AfterChange, "the inventory has errors";
    TooManyRounds = 5115, 422, AfterChange, "the request was asked back about too often";
    QuestionExpired = 5116, 410, AfterChange, "nobody answered the question in time";
    ProposalRefused = 5120, 422, AfterChange, "what was pushed to the ledger proposes no undo";
    BadSchedule = 5125, 422, AfterChange, "the schedule cannot be understood";
    TimePassed = 5126, 422, AfterChange, "the time has passed, or never comes";
    UnknownZone = 5127, 422, AfterChange, "there is no such time zone";
    TooManySchedules = 5128, 409, AfterChange, "there are as many schedules as there may be";
    StandingRefused = 5129, 409, AfterChange, "a standing approval cannot be given so";
    // 52xx approval and authorisation
    Unauthenticated = 5201, 401, AfterChange, "a valid token is required";
    Forbidden = 5202, 403, AfterChange, "this is not permitted to you";
    DigestMismatch = 5203, 409, AfterChange, "the approval names another plan than the one that waits";
    DecisionClosed = 5204, 409, Never, "the question was answered or has expired";
    ApprovalExpired = 5205, 410, AfterChange, "the approval was not used in time";
    ConfirmationRequired = 5206, 403, AfterChange, "this tier needs another person, or the typed host name";
    InvalidChoice = 5207, 422, AfterChange, "the answer is not one of the options";
    NotApproved = 5208, 403, AfterChange, "the plan was not approved";
    PolicyChanged = 5209, 409, AfterChange, "the policy has changed since the plan was made";
    PlanAltered = 5210, 409, AfterChange, "the stored rows of this request are not those that its records led to";
    EmptyAnswer = 5213, 422, AfterChange, "the answer is empty";
    PlanNotAsSealed = 5214, 409, MayHelp, "what is shown is not what would be approved";
    BytesHoldSecret = 5215, 403, Never, "the bytes of the plan hold a secret value";
    // 53xx dispatch and resources
    NoAgent = 5301, 503, MayHelp, "no agent can take the work";
    HostBusy = 5302, 409, MayHelp, "another change holds the host";
    NotStartedInTime = 5303, 504, MayHelp, "the work was not started in time";
    AlreadyEnded = 5304, 409, Never, "the request has ended already";
    NotEnded = 5305, 409, AfterChange, "the request has not ended yet";
    Frozen = 5306, 409, AfterChange, "the fleet is frozen";
    NothingToUndo = 5310, 409, Never, "the request changed nothing that could be taken back";
    UndoneAlready = 5311, 409, Never, "the request was taken back already, or is being taken back";
    CannotUndo = 5312, 409, AfterChange, "a step of the request has no way back";
    UndoOutdated = 5313, 409, AfterChange, "the way back is not any more what the approved plan said";
    PackagesLocked = 5314, 503, MayHelp, "the package manager of a host is at work for somebody else";
    OutcomeKnown = 5315, 409, Never, "how the task ended is known already";
    NoRetryWaits = 5316, 409, Never, "nothing of this request waits to be tried again";
    LookStillAsked = 5317, 409, AfterChange, "how a change ended on the host is still being asked";
    RequestForgotten = 5318, 410, Never, "the request was forgotten with age";
    RepositoryUnusable = 5340, 422, AfterChange, "the repository cannot be added";
    RepositoryTooLarge = 5341, 413, AfterChange, "the repository is too large";
    RepositoryThere = 5342, 409, AfterChange, "a repository of this name was added before";
    EntryChanged = 5343, 409, AfterChange, "the entry is not what was read any more";
    InventoryUnreadable = 5344, 422, AfterChange, "the inventory of a repository cannot be read";
    HostsThere = 5345, 409, AfterChange, "hosts of these names are in the inventory already";
    // 54xx execution
    SealRefused = 5401, 403, AfterChange, "the agent refused the work: it is not what was approved";
    StaleAttempt = 5402, 409, Never, "the agent has seen a later attempt";
    WorkExpired = 5403, 410, AfterChange, "the work reached the agent too late";
    ClockSkew = 5404, 409, AfterChange, "the clocks of agent and orchestrator are more than 5 minutes apart";
    AnsibleMissing = 5405, 503, AfterChange, "no Ansible that is new enough";
    AnsibleInstallFailed = 5406, 503, MayHelp, "the private Ansible could not be installed";
    HostUnreachable = 5407, 502, MayHelp, "a host did not answer";
    HostKeyUnknown = 5408, 403, AfterChange, "the host's key is not pinned";
    HostKeyChanged = 5409, 403, AfterChange, "the host's key has changed";
    PlaybookFailed = 5410, 502, AfterChange, "a task of the playbook failed";
    TimedOut = 5411, 504, AfterChange, "the run took longer than it may";
    Interrupted = 5412, 502, MayHelp, "the run was interrupted";
    OutcomeUnknown = 5413, 502, AfterChange, "nobody knows how the run ended";
    ContentChanged = 5414, 409, AfterChange, "what would run is not what was approved";
    VerifyFailed = 5415, 502, AfterChange, "the check after the run failed";
    CancelledByPerson = 5416, 409, Never, "a person cancelled it";
    AgentFault = 5417, 500, MayHelp, "the agent could not start or follow the run";
    IsolationMissing = 5418, 503, AfterChange, "the isolation that is asked for is not to be had";
    RunTooLarge = 5419, 502, AfterChange, "the run used more memory or processes than it may";
    // 55xx store and ledger
    StoreUnavailable = 5501, 503, MayHelp, "the database does not answer";
    StoreFull = 5502, 507, AfterChange, "the disk of the database is full";
    StoreReadOnly = 5503, 503, AfterChange, "the database or data folder cannot be written";
    StoreNewer = 5504, 503, AfterChange, "the data was written by a newer version";
    StoreCorrupt = 5505, 500, AfterChange, "the database is damaged or of another program";
    Conflict = 5506, 409, MayHelp, "somebody else changed it at the same time";
    LedgerFault = 5507, 500, AfterChange, "the ledger cannot be written";
    AuditBroken = 5508, 500, Never, "the audit chain does not verify";
    JournalFault = 5509, 500, AfterChange, "the agent's journal cannot be read or written";
    RowUnreadable = 5510, 500, AfterChange, "a stored row cannot be read";
    LedgerKey = 5511, 409, AfterChange, "the ledger's key was replaced without a record";
    // 56xx bus
    BusUnavailable = 5601, 503, MayHelp, "the message bus does not answer";
    Overloaded = 5602, 503, MayHelp, "too much is waiting; nothing was taken";
    AuthorizerSilent = 5610, 503, MayHelp, "the external authoriser gives no decision";
    // 57xx vault
    KeyFault = 5701, 500, AfterChange, "a key file is missing, malformed or too open";
    // 58xx configuration
    UnknownKey = 5801, 400, AfterChange, "the configuration has an unknown key";
    InvalidValue = 5802, 400, AfterChange, "a configuration value is not permitted";
    HomeUnusable = 5803, 400, AfterChange, "the data folder cannot be used";
    HomeInUse = 5804, 409, MayHelp, "another Chiffon uses this data folder";
    PortInUse = 5805, 409, AfterChange, "the address is in use";
    NotRunning = 5806, 503, AfterChange, "no running Chiffon answers";
    SettingsContradict = 5830, 400, AfterChange, "two settings contradict each other, or one is missing";
    OpenWithoutToken = 5831, 400, AfterChange, "without a token only this machine is served";
    AuditInUse = 5832, 409, MayHelp, "another arbiter writes to this audit folder";
    // 59xx internal
    Internal = 5901, 500, MayHelp, "a fault of Chiffon itself";
    ShuttingDown = 5902, 503, MayHelp, "Chiffon is shutting down";
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.number().fmt(f)
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u16(self.number())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = u16::deserialize(from)?;
        // A code of a later version is still an error; its number stays in the text beside it.
        Ok(Self::from_number(number).unwrap_or(Self::Internal))
    }
}

#[cfg(feature = "openapi")]
mod schema {
    //! A code is its number on the wire.

    use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

    impl utoipa::PartialSchema for super::ErrorCode {
        fn schema() -> RefOr<Schema> {
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .description(Some(
                    "A stable error code; `chiffon explain` shows its page.",
                ))
                .minimum(Some(5001))
                .maximum(Some(5999))
                .into()
        }
    }

    impl utoipa::ToSchema for super::ErrorCode {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_lead_back_to_their_code() {
        assert!(ErrorCode::ALL.is_sorted_by(|a, b| a.number() < b.number()));
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_number(code.number()), Some(*code));
            assert!((5001..=5999).contains(&code.number()));
        }
    }

    #[test]
    fn each_code_carries_its_own_page() {
        for code in ErrorCode::ALL {
            let title = format!("# {code}: {}\n", code.title());
            assert!(code.page().starts_with(&title), "{code}");
        }
    }
}
