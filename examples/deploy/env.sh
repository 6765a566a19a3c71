#!/bin/sh
# Prints new secrets for .env. Without PASSAGE_SECRET the database is of no use: keep it.
cat <<END
PASSAGE_SECRET=$(openssl rand -base64 32)
PASSAGE_APP_ID=$(openssl rand -hex 12)
PASSAGE_API_KEY=$(openssl rand -hex 5).$(openssl rand -hex 32)
POSTGRES_PASSWORD=$(openssl rand -hex 16)
END
