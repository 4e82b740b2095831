"""The lead's page: how far the work is, where people disagree, and what the lead decides."""

from fastapi import APIRouter

router = APIRouter(prefix="/review")
