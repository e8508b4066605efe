//! Sentences that must not become the wrong change: those of `tests/planner/adverse.jsonl`, and right ones of `tuned.jsonl` to
//! which words are added that alter what is meant. `CHIFFON_SEED` chooses others than the usual ones; a failure prints it.

use std::{fs, path::Path};

use chiffon_common::Tier;

use super::*;

/// What comes before a request and makes another thing of it.
const BEFORE: &[&str] = &[
    "don't",
    "do not",
    "never",
    "please don't",
    "he said:",
    "Bob said:",
    "Bob says",
    "she told me to",
    "the log says:",
    "the docs say:",
    "example:",
    "TODO:",
    "note:",
    ">",
    "#",
    "//",
    "if it hangs,",
    "unless it is busy,",
    "when I am asleep,",
    "should it hang,",
    "instead of asking,",
    "think about whether to",
    "I wonder whether to",
    "why did you",
    "did you",
    "have you",
    "how do I",
    "how to",
    "who asked to",
    "Bob wants to",
    "they decided to",
    "he refused to",
    "I forgot to",
    "I tried to",
    "I was going to",
    "I almost did this:",
    "pretend to",
    "simulate this:",
    "preview this:",
    "dry run:",
    "cancel this:",
    "abort:",
    "stop trying to",
    "wait, do not",
    "tomorrow,",
    "next week,",
    "in ten minutes,",
    "eventually",
    "hypothetically,",
    "in theory,",
    "maybe",
    "perhaps",
    "possibly",
    "one might say:",
    "it would be wrong to",
    "nobody should",
    "no one may",
    "nothing should",
    "avoid this:",
    "we talked about this:",
    "explain:",
    "translate:",
    "what happens if you",
    "suppose you",
    "imagine you",
    "remind me to",
    "write down:",
    "I dreamt that you",
    "try not to",
    "nicht:",
    "bitte nicht",
    "auf keinen Fall",
    "er sagte:",
    "Bob will",
    "falls nötig",
    "wenn er hängt,",
    "vielleicht",
    "morgen",
    "tu so als ob:",
    "ne fais pas ça :",
    "il a dit :",
    "demain,",
    "peut-être",
    "s'il est bloqué,",
    "imagine :",
    "surtout pas :",
    "j'ai failli faire ça :",
];
/// What comes behind it.
const BEHIND: &[&str] = &[
    "- not",
    ", not",
    ", never",
    "? no",
    ", just kidding",
    ", forget it",
    ", on second thought no",
    ", he said",
    ", said Bob",
    ", they say",
    ", according to the docs",
    ", I guess",
    ", allegedly",
    ", in theory",
    ", hypothetically",
    ", was the plan",
    ", or not",
    ", or so they say",
    "if it hangs",
    "unless it is busy",
    "when it is idle",
    "once it is idle",
    "only if nobody minds",
    "in case it hangs",
    "provided that it works",
    "as soon as the backup is done",
    "except on sundays",
    "rather than waiting",
    "instead of waiting",
    "rather than pluto",
    "instead of pluto",
    "in place of pluto",
    "as opposed to pluto",
    "like on pluto",
    "next to pluto",
    "near pluto",
    "before pluto",
    "after pluto",
    "or pluto",
    "but not today",
    "but not yet",
    "but slowly",
    "tomorrow",
    "tonight",
    "next week",
    "in ten minutes",
    "later",
    "eventually",
    "soon",
    "yesterday",
    "last week",
    "twice",
    "three times",
    "as a test",
    "for Bob",
    "without asking",
    "without downtime",
    "halfway",
    "partially",
    "is wrong",
    "is what he said",
    "was a mistake",
    "failed",
    "has finished",
    "took an hour",
    "is running",
    "would be bad",
    "might help",
    "one host at a time",
    "in reverse order",
    "with a pause in between",
    "under no circumstances",
    "at your own risk",
    "statt pluto",
    "anstatt pluto",
    "wie auf pluto",
    "sagte er",
    ", war nur Spaß",
    "nicht",
    "falls er hängt",
    "wenn er hängt",
    "in zehn Minuten",
    "morgen",
    "irgendwann",
    "zur Hälfte",
    "au lieu de pluto",
    "plutôt que pluto",
    "comme sur pluto",
    "dit Bob",
    "s'il est bloqué",
    "demain",
    "dans dix minutes",
    "un jour",
    "à moitié",
    ", je plaisante",
];
/// What comes between two of its words.
const BETWEEN: &[&str] = &[
    "not",
    "never",
    "almost",
    "nearly",
    "barely",
    "hardly",
    "maybe",
    "perhaps",
    "allegedly",
    "hypothetically",
    "partly",
    "halfway",
    "rather",
    "instead",
    "unless",
    "if",
    "wrongly",
    "supposedly",
    "pretend",
    "simulate",
    "preview",
    "cancel",
    "abort",
    "postpone",
    "undo",
    "avoid",
    "other",
    "another",
    "different",
    "half",
    "tomorrow",
    "yesterday",
    "finished",
    "failed",
    "refused",
    "would",
    "might",
    "did",
    "was",
    "kein",
    "nicht",
    "nie",
    "fast",
    "angeblich",
    "vielleicht",
    "statt",
    "gestern",
    "pas",
    "jamais",
    "presque",
    "peut-être",
    "sinon",
    "42",
    "+",
    "->",
    "<",
    "|",
];
/// What changes nothing.
const NEUTRAL: &[(&str, bool)] = &[
    ("please", true),
    ("now please", false),
    ("hey,", true),
    ("could you", true),
    ("thanks", false),
    ("right now", false),
    ("bitte", false),
    ("asap", false),
    ("s'il te plaît", false),
    ("when you can", false),
];

fn fleet_of_the_evaluation() -> Inventory {
    inventory(&fs::read_to_string(folder().join("hosts.yml")).unwrap())
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/planner")
}

fn lines(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The steps as the sets write them, where something would be changed.
fn changes(planner: &Planner, sentence: &str, inventory: &Inventory) -> Option<Value> {
    let Proposal::Plan(planned) = planner.plan(sentence, inventory) else {
        return None;
    };
    let is_change = |step: &Proposed| {
        planner
            .catalogue()
            .get(step.entry.as_str())
            .is_none_or(|entry| entry.tier > Tier::Zero)
    };
    planned.steps.iter().any(is_change).then(|| {
        let steps = planned.steps.iter().map(|step| {
            serde_json::json!({"entry": step.entry, "hosts": step.hosts, "parameters": step.parameters, "after": step.after})
        });
        Value::Array(steps.collect())
    })
}

#[test]
fn what_alters_the_meaning_starts_no_wrong_change() {
    let (planner, inventory) = (planner(), fleet_of_the_evaluation());
    let (mut wrong, mut planned, mut plans) = (Vec::new(), 0, 0);
    for line in lines("adverse.jsonl") {
        let sentence = line["sentence"].as_str().unwrap();
        let expected = line["expect"]["steps"]
            .as_array()
            .cloned()
            .map(Value::Array);
        plans += usize::from(expected.is_some());
        match changes(&planner, sentence, &inventory) {
            Some(steps) if Some(&steps) != expected.as_ref() => {
                wrong.push(format!("{} {sentence:?}: {steps}", line["id"]))
            }
            Some(_) => planned += 1,
            None => {}
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong changes:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    eprintln!("adverse: {planned} of {plans} plans");
    // What is right although it looks odd is still understood.
    assert!(planned + 8 >= plans, "{planned} of {plans} plans");
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).unwrap()
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }
}

/// The places between words that are outside of quotes and of whatever stands behind a colon.
fn gaps(sentence: &str) -> Vec<usize> {
    let mut quoted = false;
    let mut gaps = Vec::new();
    for (at, c) in sentence.char_indices() {
        match c {
            '"' | '\'' | '`' | '\u{ab}' | '\u{bb}' | '\u{201e}' | '\u{201c}' | '\u{201d}' => {
                quoted = !quoted
            }
            ':' => break,
            ' ' if !quoted => gaps.push(at),
            _ => {}
        }
    }
    gaps
}

fn lowered(sentence: &str) -> String {
    let mut chars = sentence.chars();
    let first = chars.next().into_iter().flat_map(char::to_lowercase);
    first.chain(chars).collect()
}

/// Whether only some of it is done: a negation of one of several steps, hosts or things takes that one away.
fn takes_away(found: &Value, steps: &Value) -> bool {
    let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (found_steps, steps_before) = (all(found), all(steps));
    let is_part = |found: &Value| {
        steps_before.iter().any(|step| {
            let (of_found, of_step) = (all(&found["hosts"]), all(&step["hosts"]));
            let is_within = of_found.iter().all(|host| of_step.contains(host));
            let mut kept = found["parameters"].clone();
            for flag in kept
                .as_object_mut()
                .into_iter()
                .flat_map(|values| values.values_mut())
            {
                if *flag == Value::Bool(false) {
                    *flag = Value::Bool(true);
                }
            }
            let is_same = kept == step["parameters"] || found["parameters"] == step["parameters"];
            found["entry"] == step["entry"] && is_within && is_same
        })
    };
    found != steps && found_steps.iter().all(is_part)
}

/// The changes of `tuned.jsonl` that are planned as they should be, and say nothing beside.
fn right_ones(planner: &Planner, inventory: &Inventory) -> Vec<(String, Value)> {
    lines("tuned.jsonl")
        .iter()
        .filter_map(|line| {
            let sentence = line["sentence"].as_str()?;
            let steps = changes(planner, sentence, inventory)?;
            // What alters a report that follows a change alters only that.
            let reports = |step: &Value| {
                let entry = step["entry"]
                    .as_str()
                    .and_then(|id| planner.catalogue().get(id));
                entry.is_some_and(|entry| entry.tier == Tier::Zero)
            };
            let is_change = !steps.as_array()?.iter().any(reports);
            // What alters a remark beside the request alters only that.
            let is_plain = !sentence
                .trim_end_matches(['.', '!', '?'])
                .contains([',', ';', ':'])
                // A word behind it may be its name.
                && !sentence.contains("cron job")
                // What is left out may be left out once more.
                && ![" except ", " sauf ", " minus ", " but ", " au\u{df}er "]
                    .iter()
                    .any(|word| sentence.contains(word));
            (is_change && is_plain && steps == line["expect"]["steps"])
                .then(|| (sentence.to_owned(), steps))
        })
        .collect()
}

/// What came of altered requests.
struct Altered {
    wrong: Vec<String>,
    /// Of those to which only words were added that change nothing, how many are still planned.
    kept: usize,
    neutral: usize,
}

fn altered(
    (planner, inventory): (&Planner, &Inventory),
    right: &[(String, Value)],
    (seed, rounds): (u64, usize),
) -> Altered {
    let mut dice = Dice(seed);
    let (mut wrong, mut kept, mut neutral) = (Vec::new(), 0, 0);
    for _ in 0..rounds {
        let (sentence, steps) = &right[dice.below(right.len())];
        let plain = sentence.trim_end_matches(['.', '!', '?']);
        let is_open = |text: &str| !text.contains(": ") && !text.ends_with(['"', '\'']);
        let altered = match dice.below(10) {
            0..=2 => format!("{} {}", dice.one(BEFORE), lowered(sentence)),
            3..=5 if is_open(plain) => {
                let end = dice.one(BEHIND);
                let blank = if end.starts_with([',', '?']) { "" } else { " " };
                format!("{plain}{blank}{end}")
            }
            3..=8 => {
                let gaps = gaps(sentence);
                if gaps.is_empty() {
                    continue;
                }
                let (before, behind) = sentence.split_at(gaps[dice.below(gaps.len())]);
                format!("{before} {}{behind}", dice.one(BETWEEN))
            }
            _ => {
                let (word, is_first) = NEUTRAL[dice.below(NEUTRAL.len())];
                let said = match is_first {
                    true => format!("{word} {}", lowered(sentence)),
                    false if is_open(plain) => format!("{plain} {word}"),
                    false => continue,
                };
                neutral += 1;
                match changes(planner, &said, inventory) {
                    Some(found) if found == *steps => kept += 1,
                    Some(found) => wrong.push(format!("{said:?}: {found}")),
                    None => {}
                }
                continue;
            }
        };
        let is_polite = ["you perhaps", "you maybe", "can would you"]
            .iter()
            .any(|words| altered.contains(words));
        // Those are the others, which is what is planned.
        let is_of_others = altered.contains("every host not in ");
        if let Some(found) = changes(planner, &altered, inventory)
            && !is_polite
            && !is_of_others
            && !takes_away(&found, steps)
        {
            wrong.push(format!("{altered:?}: {found}"));
        }
    }
    wrong.sort();
    wrong.dedup();
    Altered {
        wrong,
        kept,
        neutral,
    }
}

/// `CHIFFON_SEED` is one seed, or the first and the last of several: `1-60`.
fn seeds() -> std::ops::RangeInclusive<u64> {
    let said = std::env::var("CHIFFON_SEED").unwrap_or_else(|_| "7".to_owned());
    let (first, last) = said.split_once('-').unwrap_or((&said, &said));
    first.parse().unwrap()..=last.parse().unwrap()
}

#[test]
fn words_that_alter_a_request_start_no_change() {
    let rounds: usize =
        std::env::var("CHIFFON_ROUNDS").map_or(2_000, |rounds| rounds.parse().unwrap());
    let (planner, inventory) = (planner(), fleet_of_the_evaluation());
    let right = right_ones(&planner, &inventory);
    assert!(right.len() > 80, "{}", right.len());
    let mut wrong = Vec::new();
    for seed in seeds() {
        let found = altered((&planner, &inventory), &right, (seed, rounds));
        let (kept, neutral) = (found.kept, found.neutral);
        eprintln!(
            "CHIFFON_SEED={seed}: neutral words: {kept} of {neutral} plans kept; {} wrong",
            found.wrong.len()
        );
        wrong.extend(
            found
                .wrong
                .iter()
                .map(|wrong| format!("CHIFFON_SEED={seed}: {wrong}")),
        );
        assert!(kept * 10 >= neutral * 8, "{kept} of {neutral} plans kept");
    }
    assert!(
        wrong.is_empty(),
        "{} wrong changes:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
