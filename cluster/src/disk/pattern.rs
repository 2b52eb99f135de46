//! Which paths a fault is about.

/// Whether a path below the data folder matches a pattern, in which `*` stands for any characters,
/// `/` included, and `?` for any one.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), path.chars().collect());
    // Where to go on when what follows the last star does not fit.
    let (mut at, mut in_path) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while in_path < path.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_path));
                at += 1;
            }
            Some(expected) if *expected == '?' || *expected == path[in_path] => {
                at += 1;
                in_path += 1;
            }
            _ => match star {
                Some((begin, taken)) => {
                    star = Some((begin, taken + 1));
                    (at, in_path) = (begin + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_takes_any_characters_and_a_question_mark_one() {
        let rows = [
            ("*", "", true),
            ("*", "a/b", true),
            ("log", "log", true),
            ("log", "log.new", false),
            ("log*", "log.new", true),
            ("*.wal", "member/wal/0-0.wal", true),
            ("*.wal", "member/wal/0-0.wal.tmp", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b", "xaayb", true),
            ("*a*b", "xaaybc", false),
            ("", "", true),
            ("", "x", false),
            ("?*", "", false),
            ("é?", "éü", true),
        ];
        for (pattern, path, expected) in rows {
            assert_eq!(matches(pattern, path), expected, "{pattern} on {path}");
        }
    }
}
