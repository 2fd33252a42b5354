create table bicycles (name text primary key);
insert into bicycles values ('from the init script');
