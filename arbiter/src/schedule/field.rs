//! One field of a cron expression as a set of numbers: lists, ranges, steps and names. What the five together mean is
//! left to `cron`.

/// What a field may hold.
pub(super) struct Field {
    /// As people call it.
    pub(super) name: &'static str,
    min: u32,
    /// The largest number that is its own; 7 is another name of Sunday.
    max: u32,
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &[
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const fn field(name: &'static str, min: u32, max: u32, names: &'static [&'static str]) -> Field {
    Field {
        name,
        min,
        max,
        names,
    }
}

/// The five, in their order.
pub(super) const FIELDS: [Field; 5] = [
    field("minute", 0, 59, &[]),
    field("hour", 0, 23, &[]),
    field("day of month", 1, 31, &[]),
    field("month", 1, 12, MONTHS),
    field("day of week", 0, 6, WEEKDAYS),
];

/// The numbers that a field permits, as bits, and whether it begins with `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Set {
    bits: u64,
    pub(super) is_star: bool,
}

impl Set {
    pub(super) fn has(self, number: u32) -> bool {
        number < 64 && self.bits >> number & 1 == 1
    }

    /// The first at or after this one.
    pub(super) fn from(self, number: u32) -> Option<u32> {
        let left = self.bits.checked_shr(number)?;
        (left != 0).then(|| number + left.trailing_zeros())
    }
}

impl Field {
    /// Whether it permits everything it could.
    pub(super) fn is_full(&self, set: Set) -> bool {
        (self.min..=self.max).all(|number| set.has(number))
    }

    /// Reads the field; in the error, why it does not fit.
    pub(super) fn read(&self, text: &str) -> Result<Set, String> {
        let mut bits = 0;
        for part in text.split(',') {
            bits |= self.part(part)?;
        }
        Ok(Set {
            bits,
            is_star: text.starts_with('*'),
        })
    }

    fn part(&self, part: &str) -> Result<u64, String> {
        let (range, step) = match part.split_once('/') {
            None => (part, None),
            Some((range, step)) => (range, Some(self.step(step)?)),
        };
        let (first, last) = match (range.split_once('-'), step) {
            _ if range == "*" => (self.min, self.max),
            (Some((first, last)), _) => (self.number(first)?, self.number(last)?),
            (None, None) => (self.number(range)?, self.number(range)?),
            (None, Some(_)) => (self.number(range)?, self.max),
        };
        if first > last {
            return Err(format!(
                "the range {range} goes backwards; write it as a list of two"
            ));
        }
        let chosen = (first..=last).step_by(step.unwrap_or(1));
        // 7 is Sunday too.
        let own = |number: u32| if number > self.max { 0 } else { number };
        Ok(chosen.fold(0, |bits, number| bits | 1 << own(number)))
    }

    fn step(&self, text: &str) -> Result<usize, String> {
        match digits(text) {
            Some(step) if (1..=self.max).contains(&step) => Ok(step as usize),
            _ => Err(format!(
                "a step is a whole number from 1 to {}, not {text:?}",
                self.max
            )),
        }
    }

    fn number(&self, text: &str) -> Result<u32, String> {
        let is_sunday = |number: u32| self.max == 6 && number == 7;
        let named = || {
            let at = self
                .names
                .iter()
                .position(|name| name.eq_ignore_ascii_case(text))?;
            Some(self.min + u32::try_from(at).ok()?)
        };
        let fits = |number: &u32| (self.min..=self.max).contains(number) || is_sunday(*number);
        digits(text)
            .or_else(named)
            .filter(fits)
            .ok_or_else(|| self.unfit(text))
    }

    fn unfit(&self, text: &str) -> String {
        let last = if self.max == 6 { 7 } else { self.max };
        let mut why = match text {
            "" => "a number is missing".to_owned(),
            _ => format!("{text:?} is not from {} to {last}", self.min),
        };
        if let (Some(first), Some(end)) = (self.names.first(), self.names.last()) {
            why += &format!(", nor from {first} to {end}");
        }
        if text.contains(['L', 'W', '#', '?']) {
            why += "; L, W, # and ? of other programs are not understood";
        }
        why
    }
}

/// A number of one or two digits and nothing else.
fn digits(text: &str) -> Option<u32> {
    let is_short = matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_short)
}
