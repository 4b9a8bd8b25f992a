//! Other programs' files.

use etcd_medic::internals::salvage::error::SalvageError;
use etcd_medic::internals::salvage::request::Trust;

use super::support::anatomy::Items;
use super::support::workshop::{Base, Damage, PATTERNS, bases};
use super::{damaged, salvage};

fn found(damage: &Damage, base: &Base, saved: &Items) -> usize {
    Damage::count(&damage.possible.intersection(saved).cloned().collect(), &base.bucket)
}

/// Whatever is damaged, there is a sound copy of what roots reach, or a clear refusal.
#[test]
fn other_files_are_saved_as_far_as_roots_reach() {
    let mut saved_files = 0;
    for base in bases().iter().filter(|base| !base.is_etcd()) {
        for damage in PATTERNS.iter().filter_map(|pattern| base.damaged(pattern)) {
            match salvage(&damage, Trust::Usual) {
                Ok(saved) => {
                    assert!(saved.sound, "{}: {}", base.name, damage.name);
                    assert!(saved.report.buckets.iter().all(|bucket| bucket.orphan == 0));
                    saved_files += 1;
                }
                Err(SalvageError::Nothing { .. } | SalvageError::Unplaced { .. }) => {}
                Err(error) => panic!("{}: {}: {error}", base.name, damage.name),
            }
        }
    }
    assert!(saved_files > 50, "{saved_files}");
}

/// With `--best-effort`, where one bucket has a gap, leaves whose keys all lie in it are taken.
#[test]
fn the_gap_of_one_bucket_is_filled() {
    let mut filled = 0;
    for base in bases().iter().filter(|base| !base.is_etcd()) {
        for name in ["branch-zeroed", "key-root-zeroed"] {
            let Some(damage) = PATTERNS.iter().find(|it| it.name == name).and_then(|it| base.damaged(it))
            else {
                continue;
            };
            let of = format!("{}: {name}", base.name);
            let [usual, all] = [Trust::Usual, Trust::BestEffort].map(|trust| salvage(&damage, trust));
            let Ok(all) = all else { continue };
            assert!(all.sound, "{of}");
            let usual = usual.map_or(0, |usual| found(&damage, base, &usual.items));
            let possible = Damage::count(&damage.possible, &base.bucket);
            assert_eq!(found(&damage, base, &all.items), possible, "{of}: {usual} from roots");
            filled += usize::from(usual < possible);
        }
    }
    assert!(filled >= 3, "{filled}");
    let base = &bases()[5];
    assert!(!base.is_etcd() && damaged(base, "leaf-zeroed").bytes != base.bytes);
}
