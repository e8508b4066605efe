//! From a sentence to a proposal: the steps in their order, each of which may end in a question.

use chiffon_common::{
    EntryCall, ErrorCode, HostName, Parameters, Problem, Tier, api::Nearest, visible,
};

use super::{
    Given, Planned, Planner, Proposed, Question,
    align::{self, Fit, Words},
    complete,
    explicit::{self, Explicit},
    hosts::{self, Mentions},
    lexicon,
    mood::{self, Mood},
    sentence::{self, Shape, Token},
    suggest,
};
use crate::{catalogue::Entry, inventory::Inventory};

/// From here on a report is what was asked for.
const SURE_OF_REPORT: f32 = 0.52;
/// From here on a change is what was asked for.
const SURE_OF_CHANGE: f32 = 0.72;
/// Two entries closer than this are asked about.
const MARGIN: f32 = 0.08;
const NEAREST_SHOWN: usize = 3;

pub(super) type Asked<T> = Result<T, Box<Question>>;

/// The best entry and what runs it up.
struct Best<'p> {
    entry: &'p Entry,
    fit: Fit,
}

/// What a question about an entry says beside itself.
pub(super) struct Answer {
    pub(super) how_to_say: String,
    pub(super) nearest: Vec<Nearest>,
}

/// What suggestions are made from.
type Known<'k> = (&'k Planner, &'k Inventory);

pub(super) fn propose(
    planner: &Planner,
    sentence: &str,
    given: &Given,
    inventory: &Inventory,
) -> Asked<Planned> {
    if let Some(read) = explicit::read(sentence)
        && let Some(planned) = explicitly(planner, read, given, inventory)
    {
        return planned;
    }
    let Some(mut tokens) = sentence::tokens(sentence) else {
        return Err(nothing(
            (planner, inventory),
            &[],
            "that is too long for one request; say it in a sentence, with longer texts in quotes",
        ));
    };
    correct(planner, &mut tokens);
    let mut mentions = hosts::mentions(&tokens, &planner.index, inventory);
    mentions.answered(&given.hosts);
    let words = words(sentence, &tokens, &mentions);
    let ranked = rank(planner, &words);
    let best = choose((planner, inventory), &ranked)?;
    let answer = Answer {
        how_to_say: suggest::how_to_say(best.entry, &planner.index, inventory),
        nearest: nearest((planner, inventory), &ranked),
    };
    judge_mood(sentence, &tokens, best, &answer)?;
    let parameters =
        complete::parameters(best.entry, &best.fit, &words, inventory, &answer, given)?;
    let nearest = answer.nearest;
    let hosts = where_to(&mentions, inventory, best.entry, &nearest)?;
    let parameters = checked(best.entry, &parameters, &nearest)?;
    Ok(Planned {
        confidence: confidence(best.fit.score),
        because: because(best, &hosts),
        steps: vec![Proposed {
            entry: best.entry.id.clone(),
            hosts,
            parameters,
        }],
    })
}

/// An entry that was named: the catalogue and the inventory may have changed since.
pub(super) fn called(planner: &Planner, call: &EntryCall, inventory: &Inventory) -> Asked<Planned> {
    let asked = |problem: Problem| {
        Box::new(Question {
            problem,
            nearest: Vec::new(),
            missing: Vec::new(),
            about: None,
        })
    };
    let entry = planner
        .catalogue
        .find_asked(call.entry.as_str())
        .map_err(asked)?;
    let mut mentions = Mentions::default();
    for host in &call.hosts {
        let meant = inventory.meant(host.as_str());
        let hosts = meant.ok_or_else(|| asked(inventory.unknown_host(host.as_str())))?;
        mentions.hosts.extend(hosts.iter().cloned());
    }
    let parameters = checked(entry, &call.parameters, &[])?;
    let hosts = where_to(&mentions, inventory, entry, &[])?;
    Ok(Planned {
        confidence: 100,
        because: format!("{} was named", entry.id),
        steps: vec![Proposed {
            entry: entry.id.clone(),
            hosts,
            parameters,
        }],
    })
}

/// The explicit form; nothing where the first word is an ordinary one.
fn explicitly(
    planner: &Planner,
    read: Result<Explicit<'_>, Problem>,
    given: &Given,
    inventory: &Inventory,
) -> Option<Asked<Planned>> {
    let asked = |problem: Problem| {
        Box::new(Question {
            problem,
            nearest: Vec::new(),
            missing: Vec::new(),
            about: None,
        })
    };
    let mut form = match read {
        Ok(form) => form,
        Err(problem) => return Some(Err(asked(problem))),
    };
    let entry = match planner.catalogue.find_asked(form.entry) {
        Ok(entry) => entry,
        Err(problem) => return (!form.parameters.is_empty()).then(|| Err(asked(problem))),
    };
    form.parameters.extend(given.parameters.clone());
    // "ping on this machine" is a sentence.
    let mut mentions = Mentions::default();
    if !given.hosts.is_empty() {
        form.hosts.clear();
        mentions.answered(&given.hosts);
    }
    for name in &form.hosts {
        match inventory.meant(&super::text::fold(name)) {
            Some(hosts) => mentions.hosts.extend(hosts.iter().cloned()),
            None if form.parameters.is_empty() && form.hosts.len() > 1 => return None,
            None => return Some(Err(asked(inventory.unknown_host(name)))),
        }
    }
    let planned = checked(entry, &form.parameters, &[]).and_then(|parameters| {
        let hosts = where_to(&mentions, inventory, entry, &[])?;
        Ok(Planned {
            confidence: 100,
            because: format!("the explicit form of {}", entry.id),
            steps: vec![Proposed {
                entry: entry.id.clone(),
                hosts,
                parameters,
            }],
        })
    });
    Some(planned)
}

/// A word with one slip that only one letter keeps from a word of the catalogue is that word.
fn correct(planner: &Planner, tokens: &mut [Token<'_>]) {
    for token in tokens.iter_mut().filter(|token| token.shape == Shape::Word) {
        let is_content = lexicon::class(&token.canonical) == lexicon::Class::Content;
        if is_content && token.canonical.len() >= 5 && !planner.index.knows(&token.canonical) {
            let meant = planner
                .index
                .one_slip_away(&token.canonical)
                .map(str::to_owned);
            token.canonical = meant.unwrap_or(std::mem::take(&mut token.canonical));
        }
    }
}

fn words<'s, 't>(sentence: &'s str, tokens: &'s [Token<'t>], mentions: &Mentions) -> Words<'s, 't> {
    let mut words = Words {
        sentence,
        tokens: Vec::new(),
        host_like: Vec::new(),
        after_preposition: Vec::new(),
        of_machine: false,
    };
    for (at, token) in tokens.iter().enumerate() {
        words.of_machine |= hosts::is_machine_itself(tokens, at);
        if !mentions.spent[at] {
            words.tokens.push(token);
            words.host_like.push(mentions.host_like[at]);
            words
                .after_preposition
                .push(hosts::before(tokens, at).is_some());
        }
    }
    words
}

/// The entries that share words with the sentence, best first.
fn rank<'p>(planner: &'p Planner, words: &Words<'_, '_>) -> Vec<Best<'p>> {
    let plain = words
        .tokens
        .iter()
        .filter(|token| token.shape == Shape::Word);
    let candidates = planner
        .index
        .candidates(plain.map(|token| token.canonical.as_str()));
    let fitted = candidates.into_iter().filter_map(|(at, _)| {
        let indexed = &planner.index.entries[at];
        let entry = planner.catalogue.get(&indexed.id)?;
        Some(Best {
            entry,
            fit: align::fit(words, entry, indexed, &planner.index),
        })
    });
    let mut ranked: Vec<Best<'p>> = fitted.collect();
    ranked.sort_by(|a, b| b.fit.score.total_cmp(&a.fit.score));
    ranked
}

fn choose<'r, 'p>(known: Known<'_>, ranked: &'r [Best<'p>]) -> Asked<&'r Best<'p>> {
    let unsure = "I do not know what to do with that; nothing in the catalogue fits it well enough";
    let Some(best) = ranked.first() else {
        return Err(nothing(known, &[], unsure));
    };
    let enough = match best.entry.tier {
        Tier::Zero => SURE_OF_REPORT,
        _ => SURE_OF_CHANGE,
    };
    if best.fit.score < enough {
        return Err(nothing(known, ranked, unsure));
    }
    match ranked.get(1) {
        Some(second) if best.fit.score - second.fit.score < MARGIN => {
            let question = format!(
                "that could be {} or {}; which one?",
                best.entry.id, second.entry.id
            );
            Err(nothing(known, ranked, &question))
        }
        _ => Ok(best),
    }
}

fn judge_mood(sentence: &str, tokens: &[Token<'_>], best: &Best<'_>, answer: &Answer) -> Asked<()> {
    let mood = mood::mood(sentence, tokens);
    let is_question = mood::is_question(sentence, tokens);
    let refusal = if best.entry.tier == Tier::Zero {
        let first = tokens.first().map_or("", |token| token.canonical.as_str());
        let asks_change = lexicon::is_change(first) && !tokens[0].folded.ends_with("updates");
        match mood {
            Mood::Negated if !is_question => "that says what is not to be done, so nothing is done",
            Mood::Several => "one thing at a time, please: what first?",
            _ if asks_change && !is_question => {
                "that asks for a change which no entry makes; there is only a report that is near to it"
            }
            _ => return Ok(()),
        }
    } else {
        match mood {
            Mood::Request => return Ok(()),
            Mood::Negated => "that says what is not to be done, so nothing is done",
            Mood::Talk => {
                "that is a question or a story, so nothing is changed; say it as a request if it is one"
            }
            Mood::Elsewhen => {
                "that names a condition or another time, which comes later; say it as a request for now if it is one"
            }
            Mood::Several => "one thing at a time, please: what first?",
        }
    };
    Err(ask(
        ErrorCode::NothingMatches,
        refusal,
        &answer.how_to_say,
        &answer.nearest,
    ))
}

fn where_to(
    mentions: &Mentions,
    inventory: &Inventory,
    entry: &Entry,
    nearest: &[Nearest],
) -> Asked<Vec<HostName>> {
    if !mentions.hosts.is_empty() {
        return Ok(mentions.hosts.iter().cloned().collect());
    }
    let mut all = inventory.hosts().map(|host| host.name.clone());
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(vec![only]),
        (None, _) => {
            let todo = "add a host to inventory/hosts.yml";
            Err(ask(
                ErrorCode::UnknownHost,
                "the inventory has no hosts",
                todo,
                nearest,
            ))
        }
        (Some(first), Some(_)) => {
            let names: Vec<String> = inventory
                .hosts()
                .take(9)
                .map(|host| host.name.to_string())
                .collect();
            let more = if names.len() > 8 { ", ..." } else { "" };
            let names = names[..names.len().min(8)].join(", ");
            let detail = format!("{}: on which host? Known are {names}{more}", entry.title);
            let todo = format!("say it with the host, such as \"... on {first}\"");
            Err(ask(ErrorCode::UnknownHost, &detail, &todo, nearest))
        }
    }
}

fn checked(entry: &Entry, given: &Parameters, nearest: &[Nearest]) -> Asked<Parameters> {
    entry.check(given).map_err(|problems| {
        let missing = wanted(entry, given, &problems);
        let mut problems = problems.into_iter();
        let first = problems.next();
        let mut problem = first.unwrap_or_else(|| {
            Problem::new(ErrorCode::Internal, "a check failed without a reason", "")
        });
        for more in problems {
            problem.detail = format!("{}; {}", problem.detail, more.detail);
            problem.errors.extend(more.errors);
        }
        Box::new(Question {
            problem,
            nearest: nearest.to_vec(),
            missing,
            about: Some(entry.id.clone()),
        })
    })
}

/// The parameters that an answer may give: those that are missing, and those whose value does not fit.
fn wanted(entry: &Entry, given: &Parameters, problems: &[Problem]) -> Vec<String> {
    let missing = entry.missing(given).map(|p| p.name.to_string());
    let pointers = problems.iter().flat_map(|problem| &problem.errors);
    let places = pointers.filter_map(|place| place.pointer.strip_prefix("/parameters/"));
    let unfit = places.filter(|name| entry.parameter(name).is_some());
    let mut wanted: Vec<String> = missing.chain(unfit.map(ToOwned::to_owned)).collect();
    wanted.sort();
    wanted.dedup();
    wanted
}

pub(super) fn ask(code: ErrorCode, detail: &str, todo: &str, nearest: &[Nearest]) -> Box<Question> {
    Box::new(Question {
        problem: Problem::new(code, detail, todo),
        nearest: nearest.to_vec(),
        missing: Vec::new(),
        about: None,
    })
}

fn nothing(known: Known<'_>, ranked: &[Best<'_>], detail: &str) -> Box<Question> {
    let mut near = nearest(known, ranked);
    let (planner, inventory) = known;
    for entry in planner.catalogue.entries().filter(|entry| entry.listed) {
        if near.len() < NEAREST_SHOWN && near.iter().all(|shown| shown.entry != entry.id) {
            near.push(suggest::nearest(entry, &planner.index, inventory));
        }
    }
    let todo = "say it like one of the examples, or see `chiffon catalogue list`";
    ask(ErrorCode::NothingMatches, detail, todo, &near)
}

fn nearest((planner, inventory): Known<'_>, ranked: &[Best<'_>]) -> Vec<Nearest> {
    ranked
        .iter()
        .take(NEAREST_SHOWN)
        .map(|best| suggest::nearest(best.entry, &planner.index, inventory))
        .collect()
}

/// A sentence is never as sure as the explicit form.
fn confidence(score: f32) -> u8 {
    // Between 0 and 99, so the conversion loses nothing.
    (score.clamp(0.0, 1.0) * 99.0).round() as u8
}

fn because(best: &Best<'_>, hosts: &[HostName]) -> String {
    let words: Vec<String> = best
        .fit
        .words
        .iter()
        .map(|word| format!("\"{}\"", visible(word)))
        .collect();
    let hosts: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
    format!(
        "{} fits {} (\"{}\"), on {}",
        words.join(", "),
        best.entry.id,
        best.fit.example,
        hosts.join(", ")
    )
}
