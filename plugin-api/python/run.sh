# Runs `program.py` of a plugin with the Python of the virtual environment `venv`, if it is there, and otherwise with python3.
python=venv/bin/python
[ -x $python ] || python=python3
command -v $python >/dev/null || {
    echo "Python is not available (install python3)" >&2
    exit 1
}
exec $python -B program.py
