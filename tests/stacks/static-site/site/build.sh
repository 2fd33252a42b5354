# A page of all notes, written beside the old one and renamed.
{
    echo '<!doctype html><title>Notes</title>'
    for note in /src/content/*.txt; do
        [ ! -f "$note" ] || echo "<p>$(cat "$note")</p>"
    done
} >/public/index.html.new
mv /public/index.html.new /public/index.html
