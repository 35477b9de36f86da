//! A shorter form of the choices that made a life fail: fewer of them, and plainer ones.

/// Makes `choices` as short and plain as it can within so many tries, as long as it `fails`.
pub(super) fn shrink(mut choices: Vec<u8>, tries: usize, mut fails: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut left = tries;
    let mut attempt = |choices: &mut Vec<u8>, shorter: Vec<u8>| {
        if left == 0 || shorter == *choices {
            return false;
        }
        left -= 1;
        let shrinks = fails(&shorter);
        if shrinks {
            *choices = shorter;
        }
        shrinks
    };
    loop {
        let before = choices.clone();
        let mut size = choices.len().next_power_of_two().max(1);
        while size > 0 {
            // From the back: what comes after the failure is of no use.
            let mut end = choices.len();
            while end > 0 {
                let at = end.saturating_sub(size);
                let without = [&choices[..at], &choices[end..]].concat();
                if !attempt(&mut choices, without) {
                    let mut plain = choices.clone();
                    plain[at..end].fill(0);
                    attempt(&mut choices, plain);
                }
                end = at;
            }
            size /= 2;
        }
        for at in 0..choices.len() {
            while choices.get(at).is_some_and(|byte| *byte > 0) {
                let mut plainer = choices.clone();
                plainer[at] /= 2;
                if !attempt(&mut choices, plainer) {
                    break;
                }
            }
        }
        while choices.last() == Some(&0) {
            choices.pop();
        }
        if choices == before {
            return choices;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_the_failure_needs() {
        let choices: Vec<u8> = (0..=255).collect();
        let shrunk = shrink(choices, 10_000, |choices| choices.iter().any(|byte| *byte >= 100));
        assert_eq!(shrunk.len(), 1);
        assert!((100..200).contains(&shrunk[0]));
    }
}
