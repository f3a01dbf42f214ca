# Prints the number of processes once a second.
while sleep 1; do
    ps -e | wc -l || exit
done
