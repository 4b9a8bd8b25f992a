use etcd_medic::{bolt::{*,open::*},etcd::schema::State,scan::*};
fn main(){
 let t=std::time::Instant::now();
 let data=map_file(std::env::args().nth(1).unwrap().as_ref(),Lock::None).unwrap();
 let db=Db::new(data).unwrap();
 let st=State::read(&db);
 eprintln!("state {:?} {:?}",t.elapsed(),st.compact_revision());
 let s=scan(&db,&st,Options::default());
 println!("{:?} {} {} {} {} {:?}",s.is_sound(),s.keyspace.num_keys(),s.keyspace.num_live(),s.keyspace.num_records(),s.free_pages(),t.elapsed());
 for f in s.structure.faults.iter().take(5) {println!("{f} {f:?}");}
 for f in s.records.iter().take(5) {println!("{} {:?}",f.fault,f);}
 println!("{:?}",s.keyspace.shards().iter().flat_map(|s|s.resources().iter().map(|r|(r.group,String::from_utf8_lossy(r.resource)))).collect::<std::collections::BTreeSet<_>>().len());
 println!("{:?}",t.elapsed());
}
