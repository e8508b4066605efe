//! Times in words, in English, German and French: "every night at three", "jeden Sonntag um 4:15 Uhr", "tous les jours à
//! 5 h 30", as the five fields of cron. What is said once ("at eleven") is told apart from what is said for ever.

use super::{
    calendar::{Half, half, number, weekday},
    cron::cron,
    sentence::{Shape, Token},
};

/// What a sentence says about when.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct When {
    /// Which tokens say it.
    pub(super) spent: Vec<bool>,
    /// The five fields of cron; nothing where it is not said exactly enough.
    pub(super) cron: Option<String>,
    /// Whether any time is said.
    pub(super) is_said: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Each day; what it is called without a time is midnight.
    Daily,
    /// Each morning, evening: a time must be said.
    Within(Half),
    Weekly,
    Monthly,
    Minutes(u32),
    Hours(u32),
    /// 0 is Sunday.
    Weekday(u32),
    Weekdays,
    OfMonth(u32),
    /// So many times a day, each of which must be said.
    Often(usize),
    /// What cron cannot say: "every first Monday".
    Unclear,
    Time(u32, u32),
    Half(Half),
}

const EVERY: [&str; 7] = ["every", "each", "jeden", "jede", "jedes", "alle", "chaque"];
const AT: [&str; 4] = ["at", "um", "a", "gegen"];
/// What the tokens say about when; `free` are those that may say it.
pub(super) fn when(tokens: &[Token<'_>], free: &[bool]) -> When {
    let mut when = When {
        spent: vec![false; tokens.len()],
        ..When::default()
    };
    let words: Vec<&str> = tokens
        .iter()
        .zip(free)
        .map(|(token, free)| match *free && token.shape == Shape::Word {
            true => corrected(&token.folded),
            false => "",
        })
        .collect();
    if let Some((at, cron)) = fields(&words) {
        when.spent[at..at + cron.split(' ').count()].fill(true);
        when.cron = Some(cron);
        when.is_said = true;
        return when;
    }
    let mut parts = Vec::new();
    let mut at = 0;
    while at < words.len() {
        match part(&words[at..], &parts) {
            Some((len, part)) => {
                when.spent[at..at + len].fill(true);
                parts.push(part);
                at += len;
            }
            None => at += 1,
        }
    }
    // "in the morning" alone, or "twice", is no time.
    let says = |part: &Part| !matches!(part, Part::Half(_));
    if !parts.iter().any(says) {
        when.spent.fill(false);
        return when;
    }
    when.is_said = true;
    when.cron = cron(&parts);
    when
}

/// Five fields of cron as they are written, or a word such as `@daily`.
fn fields(words: &[&str]) -> Option<(usize, String)> {
    let is_field = |word: &&str, letters: bool| {
        !word.is_empty()
            && word.chars().all(|c| {
                c.is_ascii_digit() || "*,/-".contains(c) || (letters && c.is_ascii_alphabetic())
            })
            && word.contains(|c: char| c.is_ascii_digit() || c == '*' || letters)
    };
    let named = words
        .iter()
        .position(|word| word.starts_with('@') && word.len() > 4);
    if let Some(at) = named {
        return Some((at, words[at].to_owned()));
    }
    let at = words.windows(5).position(|five| {
        five[..3].iter().all(|word| is_field(word, false))
            && five[3..].iter().all(|word| is_field(word, word.len() == 3))
    })?;
    Some((at, words[at..at + 5].join(" ")))
}

/// "evry night" is every night.
fn corrected(word: &str) -> &str {
    let mut near = EVERY.iter().filter(|every| {
        every.len() >= 5 && word.len() >= 4 && strsim::osa_distance(every, word) == 1
    });
    near.next().copied().unwrap_or(word)
}

/// The part that begins here, and how many words it has.
fn part(words: &[&str], before: &[Part]) -> Option<(usize, Part)> {
    let word = |n: usize| words.get(n).copied().unwrap_or_default();
    let every = match (word(0), word(1)) {
        ("tous" | "toutes", "les") => 2,
        (first, _) if EVERY.contains(&first) => 1,
        _ => 0,
    };
    if every > 0 && is_ordinal(word(every)) {
        return Some((every + 1, Part::Unclear));
    }
    if every > 0 {
        let (n, count) = match number(word(every)) {
            Some(n) => (n, every + 1),
            None if word(every) == "single" => (1, every + 1),
            None if word(every) == "half" && word(every + 1) == "hour" => {
                return Some((every + 2, Part::Minutes(30)));
            }
            None => (1, every),
        };
        // "Every 2 weeks", which cron cannot say.
        let several = || (n > 1 && is_long(word(count))).then_some(Part::Unclear);
        let part = unit(word(count), n).or_else(several);
        return part.map(|part| (count + 1, part));
    }
    if let Some(found) = of_month(words) {
        return Some(found);
    }
    let single = match word(0) {
        "daily" | "taglich" | "nightly" | "quotidiennement" => Some(Part::Daily),
        "hourly" | "stundlich" => Some(Part::Hours(1)),
        "weekly" | "wochentlich" => Some(Part::Weekly),
        "monthly" | "monatlich" => Some(Part::Monthly),
        "weekdays" | "werktags" => Some(Part::Weekdays),
        plural if plural.ends_with('s') => weekday(plural).map(Part::Weekday),
        _ => None,
    };
    if let Some(part) = single {
        return Some((1, part));
    }
    // "Every Monday and Thursday".
    if let (Some(Part::Weekday(_)), "and" | "und" | "et") = (before.last(), word(0))
        && let Some(day) = weekday(word(1))
    {
        return Some((2, Part::Weekday(day)));
    }
    match (word(0), word(1), word(2)) {
        ("on", day, _) if day.ends_with('s') && day != "weekdays" => {
            if let Some(day) = weekday(day) {
                return Some((2, Part::Weekday(day)));
            }
        }
        ("on", "weekdays", _) => return Some((2, Part::Weekdays)),
        ("le", day, _) => {
            if let Some(day) = weekday(day) {
                return Some((2, Part::Weekday(day)));
            }
        }
        ("once", "a", "day") | ("einmal", "am", "tag") => return Some((3, Part::Daily)),
        ("twice", "a", "day") | ("zweimal", "am", "tag") => return Some((3, Part::Often(2))),
        ("thrice", "a", "day") | ("dreimal", "am", "tag") => return Some((3, Part::Often(3))),
        (n, "fois", "par") if word(3) == "jour" => {
            if let Some(n) = number(n) {
                return Some((4, Part::Often(n as usize)));
            }
        }
        (n, "times", "a") if word(3) == "day" => {
            if let Some(n) = number(n) {
                return Some((4, Part::Often(n as usize)));
            }
        }
        ("in", "the", part) => {
            if let Some(half) = half(part).filter(|_| has_time(before)) {
                return Some((3, Part::Half(half)));
            }
        }
        ("at", "night", _) if has_time(before) => return Some((2, Part::Half(Half::Night))),
        ("du", part, _) => {
            if let Some(half) = half(part).filter(|_| has_time(before)) {
                return Some((2, Part::Half(half)));
            }
        }
        (part, ..) => {
            if let Some(half) = half(part).filter(|_| {
                has_time(before)
                    && (part.ends_with('s') || matches!(part, "fruh" | "matin" | "soir"))
            }) {
                return Some((1, Part::Half(half)));
            }
        }
    }
    time(words, before)
}

/// Which of several: "every first Monday" is another day than every Monday.
fn is_ordinal(word: &str) -> bool {
    [
        "first",
        "1st",
        "ersten",
        "erste",
        "premier",
        "premiers",
        "1er",
        "second",
        "2nd",
        "zweiten",
        "deuxieme",
        "third",
        "3rd",
        "dritten",
        "troisieme",
        "last",
        "letzten",
        "dernier",
        "other",
    ]
    .contains(&word)
}

fn has_time(parts: &[Part]) -> bool {
    parts.iter().any(|part| matches!(part, Part::Time(..)))
}

fn unit(word: &str, n: u32) -> Option<Part> {
    Some(match word {
        "minute" | "minutes" | "min" | "mins" | "minuten" => Part::Minutes(n),
        "hour" | "hours" | "stunde" | "stunden" | "heure" | "heures" => Part::Hours(n),
        _ if n != 1 => return None,
        "day" | "tag" | "tage" | "jour" | "jours" => Part::Daily,
        "night" | "nacht" | "nuit" | "nuits" => Part::Within(Half::Night),
        "week" | "woche" | "semaine" | "semaines" => Part::Weekly,
        "month" | "monat" | "mois" => Part::Monthly,
        "weekday" | "werktag" => Part::Weekdays,
        other => match (weekday(other), half(other)) {
            (Some(day), _) => Part::Weekday(day),
            (None, Some(half)) => Part::Within(half),
            (None, None) => return None,
        },
    })
}

/// Whether it is a day or a longer time.
fn is_long(word: &str) -> bool {
    [
        "days", "nights", "weeks", "months", "years", "tage", "nachte", "wochen", "monate",
        "jahre", "jours", "nuits", "semaines", "mois", "ans",
    ]
    .contains(&word)
}

/// "on the first of each month", "am ersten jedes Monats", "le premier de chaque mois".
fn of_month(words: &[&str]) -> Option<(usize, Part)> {
    let filler = [
        "on", "the", "am", "le", "of", "de", "du", "day", "tag", "jour", "des", "a", "eines",
    ];
    let mut at = words
        .iter()
        .take_while(|word| filler.contains(word))
        .count();
    let day = number(words.get(at)?)?;
    at += 1;
    at += words[at..]
        .iter()
        .take_while(|word| filler.contains(word))
        .count();
    let each = [
        "each", "every", "jedes", "jeden", "monats", "chaque", "tous",
    ];
    if each.contains(words.get(at)?) && *words.get(at)? != "monats" {
        at += 1;
    }
    let is_month = ["month", "monats", "monat", "mois"].contains(words.get(at)?);
    (is_month && (1..=31).contains(&day)).then_some((at + 1, Part::OfMonth(day)))
}

/// A time of day, with the word before it.
fn time(words: &[&str], before: &[Part]) -> Option<(usize, Part)> {
    let word = |n: usize| words.get(n).copied().unwrap_or_default();
    let lead = usize::from(AT.contains(&word(0)));
    let lead = match (word(0), word(1)) {
        ("and" | "und" | "et", next) if AT.contains(&next) && has_time(before) => 2,
        ("and" | "und" | "et", _) if has_time(before) => 1,
        _ => lead,
    };
    let rest = &words[lead..];
    let word = |n: usize| rest.get(n).copied().unwrap_or_default();
    let noon = |hour| Some((lead + 1, Part::Time(hour, 0)));
    match word(0) {
        "midnight" | "mitternacht" | "minuit" => return noon(0),
        "noon" | "mittag" | "mittags" | "midi" => return noon(12),
        _ => {}
    }
    let (mut len, mut hour, minute, is_clear) = clock(rest)?;
    let is_half_day = |word: &str| is_morning(word) || is_afternoon(word);
    // "42 pm" is no time.
    if is_half_day(word(len)) && !(1..=12).contains(&hour) {
        return None;
    }
    if is_morning(word(len)) {
        // Noon is 12 pm.
        hour %= 12;
        len += 1;
    } else if is_afternoon(word(len)) {
        hour = hour % 12 + 12;
        len += 1;
    }
    let is_clear = is_clear || len > 1 && !rest[..len].iter().all(|word| number(word).is_some());
    // "A 4 TB disk" names no hour.
    let is_led = lead > 0 && words.first() != Some(&"a");
    (hour < 24 && minute < 60 && (is_led || is_clear))
        .then_some((lead + len, Part::Time(hour, minute)))
}

fn is_morning(word: &str) -> bool {
    ["am", "a.m", "a.m."].contains(&word)
}

fn is_afternoon(word: &str) -> bool {
    ["pm", "p.m", "p.m."].contains(&word)
}

/// Words, hour, minute, and whether nothing else could be meant.
fn clock(words: &[&str]) -> Option<(usize, u32, u32, bool)> {
    let word = |n: usize| words.get(n).copied().unwrap_or_default();
    let (first, second) = (word(0), word(1));
    match (first, second) {
        ("half", "past") => return Some((3, number(word(2))?, 30, true)),
        ("quarter", "past") => return Some((3, number(word(2))?, 15, true)),
        ("quarter", "to") => return Some((3, (number(word(2))? + 23) % 24, 45, true)),
        ("halb", _) => return Some((2, (number(second)? + 23) % 24, 30, true)),
        ("viertel", "nach") => return Some((3, number(word(2))?, 15, true)),
        ("viertel", "vor") => return Some((3, (number(word(2))? + 23) % 24, 45, true)),
        _ => {}
    }
    for (end, add) in [("am", 0), ("pm", 12)] {
        let said = first.strip_suffix(end).and_then(digits);
        if let Some((hour, minute)) = said.filter(|(hour, _)| (1..=12).contains(hour)) {
            return Some((1, hour % 12 + add, minute, true));
        }
    }
    if let Some((hour, minute)) = first.contains([':', 'h']).then(|| digits(first)).flatten() {
        let len = 1 + usize::from(["uhr", "o'clock", "heures"].contains(&second));
        return Some((len, hour, minute, true));
    }
    let hour = number(first)?;
    match second {
        "h" | "heures" | "heure" | "uhr" => {
            let minute = number(word(2)).filter(|_| word(2).len() == 2 || second == "uhr");
            match (minute, word(2), word(3)) {
                (Some(minute), ..) => Some((3, hour, minute, true)),
                (None, "et", "demie") => Some((4, hour, 30, true)),
                _ => Some((2, hour, 0, true)),
            }
        }
        "o'clock" => Some((2, hour, 0, true)),
        _ => Some((1, hour, 0, false)),
    }
}

/// `7:30`, `7h30`, `7h`, `7`.
fn digits(text: &str) -> Option<(u32, u32)> {
    let is_number = |text: &str| {
        (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (hour, minute) = text.split_once([':', 'h']).unwrap_or((text, "0"));
    let minute = if minute.is_empty() { "0" } else { minute };
    (is_number(hour) && is_number(minute))
        .then(|| Some((hour.parse().ok()?, minute.parse().ok()?)))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::sentence;

    fn read(text: &str) -> (bool, Option<String>) {
        let tokens = sentence::tokens(text).unwrap();
        let found = when(&tokens, &vec![true; tokens.len()]);
        (found.is_said, found.cron)
    }

    #[test]
    fn times_in_words_are_fields_of_cron() {
        for (text, expected) in [
            ("every night at three", "0 3 * * *"),
            ("jeden Samstag um halb vier", "30 3 * * 6"),
            ("tous les jours à 5 h 30", "30 5 * * *"),
            ("toutes les vingt minutes", "*/20 * * * *"),
            ("every 6 hours", "0 */6 * * *"),
            ("on weekdays at 6 pm", "0 18 * * 1-5"),
            ("on the first of each month at noon", "0 12 1 * *"),
            ("le mardi à 14h05", "5 14 * * 2"),
            ("jeden Tag um 7 Uhr abends", "0 19 * * *"),
            ("daily", "0 0 * * *"),
            ("daily at 12 am", "0 0 * * *"),
            ("daily at 12 pm", "0 12 * * *"),
            ("daily at 6 42 pm", "0 6 * * *"),
            ("every Monday and Thursday at 7:30", "30 7 * * 1,4"),
            ("every half hour", "*/30 * * * *"),
            ("every 15 minutes on weekdays", "*/15 * * * 1-5"),
            ("every hour on Mondays", "0 * * * 1"),
            ("twice a day, at 6 and at 18 o'clock", "0 6,18 * * *"),
            ("on Mondays and Fridays at quarter to nine", "45 8 * * 1,5"),
            ("with 5 4 * * 1-5 please", "5 4 * * 1-5"),
        ] {
            assert_eq!(read(text), (true, Some(expected.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_not_said_exactly_is_no_time() {
        for text in [
            "every morning",
            "twice a day",
            "zweimal am Tag um 6 Uhr",
            "every first Monday",
            "jeden ersten Montag",
            "every 15 minutes at 6 o'clock",
            "every 7 minutes",
            "at eleven",
            "daily at 6:10 and at 7:20",
            "every 2 days",
            "alle zwei Wochen",
            "tous les deux jours",
            "toutes les deux semaines à 5 h",
            "every other day at 3",
        ] {
            assert_eq!(read(text), (true, None), "{text}");
        }
        for text in [
            "install two packages",
            "all 3 hosts",
            "4 TB on nas",
            "every host",
            "port 8080",
        ] {
            assert_eq!(read(text), (false, None), "{text}");
        }
    }
}
