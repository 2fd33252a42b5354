insert into bicycles values ('from the second one');
