const fs = require('fs');
const http = require('http');
const { Pool } = require('pg');

const url = new URL(process.env.STORE_URL);
const pool = new Pool({
  host: url.hostname, user: url.username, database: url.pathname.slice(1), max: 4,
  password: fs.readFileSync(process.env.STORE_PASSWORD_FILE, 'utf8'),
});
pool.on('error', error => console.error('store:', error.message));

async function answer(request, body) {
  if (request.method === 'POST') {
    await pool.query('insert into documents (body) values ($1)', [JSON.parse(body)]);
  }
  const found = await pool.query('select body from documents order by id');
  return found.rows.map(row => row.body);
}

http.createServer((request, response) => {
  let body = '';
  request.on('data', part => { body += part; });
  request.on('end', () => answer(request, body).then(
    documents => response.end(JSON.stringify({ documents }) + '\n'),
    error => { response.statusCode = 500; response.end(error.message + '\n'); }));
}).listen(3000);

pool.query('create table if not exists documents (id serial primary key, body jsonb)').catch(error => {
  console.error(error.message);
  process.exit(1);
});
