//! Names of days, parts of a day, and numbers, in English, German and French. What times are made of them is left to `when`.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Morning,
    Evening,
    Night,
}

const DAYS: [[&str; 7]; 7] = [
    [
        "sunday",
        "sundays",
        "sonntag",
        "sonntags",
        "dimanche",
        "dimanches",
        "sun",
    ],
    [
        "monday", "mondays", "montag", "montags", "lundi", "lundis", "mon",
    ],
    [
        "tuesday",
        "tuesdays",
        "dienstag",
        "dienstags",
        "mardi",
        "mardis",
        "tue",
    ],
    [
        "wednesday",
        "wednesdays",
        "mittwoch",
        "mittwochs",
        "mercredi",
        "mercredis",
        "wed",
    ],
    [
        "thursday",
        "thursdays",
        "donnerstag",
        "donnerstags",
        "jeudi",
        "jeudis",
        "thu",
    ],
    [
        "friday",
        "fridays",
        "freitag",
        "freitags",
        "vendredi",
        "vendredis",
        "fri",
    ],
    [
        "saturday",
        "saturdays",
        "samstag",
        "samstags",
        "samedi",
        "samedis",
        "sat",
    ],
];
const NUMBERS: [(&str, u32); 58] = [
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
    ("fifteen", 15),
    ("twenty", 20),
    ("thirty", 30),
    ("eins", 1),
    ("ein", 1),
    ("zwei", 2),
    ("drei", 3),
    ("vier", 4),
    ("funf", 5),
    ("sechs", 6),
    ("sieben", 7),
    ("acht", 8),
    ("neun", 9),
    ("zehn", 10),
    ("elf", 11),
    ("zwolf", 12),
    ("funfzehn", 15),
    ("zwanzig", 20),
    ("dreissig", 30),
    ("une", 1),
    ("deux", 2),
    ("trois", 3),
    ("quatre", 4),
    ("cinq", 5),
    ("sept", 7),
    ("huit", 8),
    ("neuf", 9),
    ("dix", 10),
    ("onze", 11),
    ("douze", 12),
    ("quinze", 15),
    ("vingt", 20),
    ("trente", 30),
    ("first", 1),
    ("1st", 1),
    ("ersten", 1),
    ("premier", 1),
    ("second", 2),
    ("2nd", 2),
    ("third", 3),
    ("3rd", 3),
    ("zweiten", 2),
    ("dritten", 3),
    ("1er", 1),
    ("fifteenth", 15),
    ("15th", 15),
];

pub(super) fn number(word: &str) -> Option<u32> {
    if !word.is_empty() && word.len() <= 2 && word.bytes().all(|byte| byte.is_ascii_digit()) {
        return word.parse().ok();
    }
    let mut known = NUMBERS.iter();
    known.find(|(name, _)| *name == word).map(|(_, n)| *n)
}

pub(super) fn weekday(word: &str) -> Option<u32> {
    let at = DAYS.iter().position(|names| names[..6].contains(&word))?;
    u32::try_from(at).ok()
}

pub(super) fn half(word: &str) -> Option<Half> {
    Some(match word {
        "morning" | "mornings" | "morgen" | "matin" | "matins" | "mat" | "morgens" | "fruh" => {
            Half::Morning
        }
        "evening" | "evenings" | "afternoon" | "abend" | "abends" | "nachmittags"
        | "nachmittag" | "soir" | "soirs" => Half::Evening,
        "night" | "nights" | "nacht" | "nachts" | "nuit" | "nuits" => Half::Night,
        _ => return None,
    })
}
